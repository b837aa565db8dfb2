"""Systems of others in `emo evaluate`: peers of transformers, models behind an address; asked clip by clip.

Their answers go to a file and are scored as any file of answers is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.console import Voice, quieten_transformers
from emo.cli.device_option import refuse_absent
from emo.config.hardware import WHOLE_BITS
from emo.config.merr import ServiceConfig
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.clip import Clip
    from emo.pipeline.contenders import Contender
    from emo.rights import DataRights

PEER, SERVICE = "hf:", "service:"
ANSWERS = "answers.jsonl"
FRAMES = 8
DEFAULTS = ServiceConfig()

_OPTIONS = (
    click.option(
        "--look", type=click.Choice(["video", "image", "audio"]), help="What another system is shown."
    ),
    click.option(
        "--frames", type=click.IntRange(1, 64), default=FRAMES, show_default=True, help="Of a video."
    ),
    click.option("--url", default="", help="Of service:MODEL, such as http://127.0.0.1:8000/v1."),
    click.option("--key-env", default=DEFAULTS.key_env, show_default=True, help="Variable with its key."),
    click.option(
        "--rights", metavar="NAME|FILE", help="Whose data the clips are.  [default: what the manifest says]"
    ),
    click.option(
        "--send-media-to", default="", metavar="HOST", help="Let pictures or sound go to this other machine."
    ),
    click.option(
        "--most-requests", type=click.IntRange(min=0), default=0, help="Budget, earlier runs included."
    ),
    click.option(
        "--most-tokens", type=click.IntRange(min=0), default=0, help="Budget, earlier runs included."
    ),
)
_NAMES = (
    "look",
    "frames",
    "url",
    "key_env",
    "rights",
    "send_media_to",
    "most_requests",
    "most_tokens",
)


def contender_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets them as one mapping `asking`."""

    @wraps(command)
    def gathered(*args: Any, **others: Any) -> None:
        command(*args, asking={name: others.pop(name) for name in _NAMES}, **others)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


def is_contender(system: str) -> bool:
    """Whether `--system` names a system of others that is asked."""
    return system.startswith((PEER, SERVICE))


def refuse_unknown(system: str) -> None:
    """ConfigError where `system` is KIND:NAME of no kind that is known, and no folder."""
    kind, colon, _ = system.partition(":")
    if colon and kind.isalpha() and len(kind) > 1 and not Path(system).exists():
        raise ConfigError(
            f"--system {system}: {kind!r} is no kind of system. Known: predictions:FILE, {PEER}FOLDER, "
            f"{PEER}OWNER/NAME@COMMIT, {SERVICE}MODEL; a model of our own is named by its folder."
        )


def ask_contender(
    speaker: Voice,
    system: str,
    clips: list[Clip],
    manifest: str,
    cache: str,
    loading: dict[str, Any],
    asking: dict[str, Any],
    out: str | None,
) -> Path:
    """The file of its answers, in `out`: made, or gone on with.

    RightsError where the clips may not be sent to the server that is named.
    """
    from emo.cli.train_head import label_set
    from emo.pipeline.answer_file import AnswerFile
    from emo.pipeline.contenders import ask_all

    if out is None:
        raise ConfigError(
            f"{system} is asked clip by clip. Give --out FOLDER to keep its answers as they come."
        )
    if loading["bits"] != WHOLE_BITS:
        raise ConfigError(f"--bits is of our own LLaMA, not of {system}. Leave it out.")
    folder = Path(out)
    contender = _contender(system, loading, asking, _rights(asking["rights"], manifest, clips, cache), folder)
    labels = loading["labels"] or label_set("", clips)
    invalid = 0
    with AnswerFile(folder / ANSWERS) as file, speaker.meter(system) as meter:
        for event in ask_all(contender, clips, labels, file, frames=asking["frames"]):
            invalid += event.invalid
            meter.update(event.done, event.total, f"{event.clip_id}, {invalid} without a label")
    return folder / ANSWERS


def _contender(
    system: str, loading: dict[str, Any], asking: dict[str, Any], rights: Sequence[DataRights], folder: Path
) -> Contender:
    if system.startswith(PEER):
        from emo.pipeline.peers import peer

        refuse_absent(loading["device"])
        quieten_transformers()
        return peer(
            system.removeprefix(PEER),
            look=asking["look"],
            device=loading["device"],
            dtype=loading["dtype"],
        )
    from emo.pipeline.service_contender import service_contender

    model = system.removeprefix(SERVICE)
    if not asking["url"]:
        raise ConfigError(f"{system}: at which address? Give --url, such as http://127.0.0.1:8000/v1.")
    service = ServiceConfig(
        key_env=asking["key_env"],
        send_media_to=asking["send_media_to"],
        most_requests=asking["most_requests"],
        most_tokens=asking["most_tokens"],
    )
    return service_contender(
        model,
        asking["url"],
        service,
        rights,
        folder,
        look=asking["look"] or "video",
    )


def _rights(named: str | None, manifest: str, clips: list[Clip], cache: str) -> list[DataRights]:
    """What the user declares of the clips, else the manifest; and what the cache knows of the data whose
    features it holds."""
    from emo.cache import open_cache
    from emo.corpora.declared import declared_rights, load_rights

    declared = [load_rights(named)] if named else declared_rights(Path(manifest), clips)
    return [*declared, *(open_cache(cache).data if Path(cache).exists() else ())]
