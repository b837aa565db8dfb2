"""Who explains, who describes and who listens, by what the user named; asks nobody yet.

The place where sending is allowed or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emo.config.merr import LOCAL, NONE, TEMPLATE, MerrConfig, ServiceConfig
from emo.errors import ConfigError
from emo.merr.asking import Asker, Ledger, ModelExplainer
from emo.merr.cases import Explainer, Teller
from emo.merr.describing import ModelTeller, Task, picture_task, voice_task
from emo.merr.folder import BuildFolder
from emo.merr.models.language import LocalModel
from emo.merr.models.media import Look, MediaModel
from emo.merr.models.media_asker import MediaAsker
from emo.merr.models.source import source_of
from emo.merr.sending import check_sending, host_of
from emo.merr.template import TemplateExplainer
from emo.rights import DataRights
from emo.services import ChatService


def ledger_for(out: Path, service: ServiceConfig) -> Ledger:
    """What was paid for in `out` so far, with the bounds that the user set."""
    return Ledger(BuildFolder(out), most_requests=service.most_requests, most_tokens=service.most_tokens)


def explainer_for(
    service: ServiceConfig, config: MerrConfig, ledger: Ledger, rights: Sequence[DataRights] = ()
) -> Explainer | None:
    """Who writes the reasons; None where nobody does.

    RightsError where a data set's words may not go to the server, ConfigError where there is no such one,
    CheckpointError where a local model is none.
    """
    if service.explain == NONE:
        return None
    if service.explain == TEMPLATE:
        return TemplateExplainer(config.seed)
    if service.explain.startswith(LOCAL):
        source = source_of(service.explain.removeprefix(LOCAL))
        asker: Asker = LocalModel(source, device=service.device)
    else:
        asker = server_for(service.explain, service.model, service, rights, media=False)
    return ModelExplainer(asker, ledger, attempts=service.attempts)


def describer_for(
    service: ServiceConfig, config: MerrConfig, ledger: Ledger, rights: Sequence[DataRights] = ()
) -> Teller | None:
    """Who says what pictures show; None where nobody does. Errors as `explainer_for`, and ConfigError where
    pictures would leave this machine unasked."""
    task = picture_task(config.labels)
    named = (service.describe, service.describe_model, "--describe-model")
    return _teller(named, task, "image", service, ledger, rights)


def listener_for(service: ServiceConfig, ledger: Ledger, rights: Sequence[DataRights] = ()) -> Teller | None:
    """Who says how voices sound; None where only their measures do. Errors as `describer_for`."""
    named = (service.listen, service.listen_model, "--listen-model")
    return _teller(named, voice_task(), "audio", service, ledger, rights)


def server_for(
    base_url: str,
    model: str,
    service: ServiceConfig,
    rights: Sequence[DataRights],
    *,
    media: bool,
    model_option: str = "--model",
) -> ChatService:
    """The model called `model` at that address. Errors as `describer_for`; `media` says that pictures or
    sounds go."""
    if not model:
        raise ConfigError(f"{base_url}: which model? Name it with {model_option}.")
    check_sending(host_of(base_url), rights, media=media, send_media_to=service.send_media_to)
    return ChatService(
        base_url=base_url,
        model=model,
        key_env=service.key_env,
        timeout_s=service.timeout_s,
        tries=service.tries,
    )


def _teller(
    named: tuple[str, str, str],
    task: Task,
    look: Look,
    service: ServiceConfig,
    ledger: Ledger,
    rights: Sequence[DataRights],
) -> Teller | None:
    who, model, option = named
    if not who:
        return None
    if who.startswith(LOCAL):
        source = source_of(who.removeprefix(LOCAL))
        local = MediaAsker(MediaModel(source, look=look, device=service.device))
        return ModelTeller(local, ledger, task, in_words=True)
    server = server_for(who, model, service, rights, media=True, model_option=option)
    return ModelTeller(server, ledger, task, in_words=False)
