"""Who explains and who describes, by what the user named; the place where sending is allowed or refused.

Asks nobody yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emo.config.merr import LOCAL, NONE, TEMPLATE, MerrConfig, ServiceConfig
from emo.errors import ConfigError
from emo.merr.asking import Asker, Ledger, ModelExplainer
from emo.merr.cases import Describer, Explainer
from emo.merr.describing import ModelDescriber
from emo.merr.folder import BuildFolder
from emo.merr.local_model import LocalModel
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

    RightsError where a data set's words may not go to the server, ConfigError where there is no such one.
    """
    if service.explain == NONE:
        return None
    if service.explain == TEMPLATE:
        return TemplateExplainer(config.seed)
    if service.explain.startswith(LOCAL):
        asker: Asker = LocalModel(Path(service.explain.removeprefix(LOCAL)))
    else:
        asker = server_for(service.explain, service.model, service, rights, media=False)
    return ModelExplainer(asker, ledger, attempts=service.attempts)


def describer_for(
    service: ServiceConfig, config: MerrConfig, ledger: Ledger, rights: Sequence[DataRights] = ()
) -> Describer | None:
    """Who says what pictures show; None where nobody does. Errors as `explainer_for`, and ConfigError where
    pictures would leave this machine unasked."""
    if not service.describe:
        return None
    asker = server_for(service.describe, service.describe_model, service, rights, media=True)
    return ModelDescriber(asker, ledger, config.labels)


def server_for(
    base_url: str, model: str, service: ServiceConfig, rights: Sequence[DataRights], *, media: bool
) -> ChatService:
    """The model called `model` at that address. Errors as `describer_for`; `media` says that pictures go."""
    if not model:
        raise ConfigError(
            f"{base_url}: which model? Name it with {'--describe-model' if media else '--model'}."
        )
    check_sending(host_of(base_url), rights, media=media, send_media_to=service.send_media_to)
    return ChatService(
        base_url=base_url,
        model=model,
        key_env=service.key_env,
        timeout_s=service.timeout_s,
        tries=service.tries,
    )
