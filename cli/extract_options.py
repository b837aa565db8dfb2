"""The options of `emo extract`, in groups: which features, where they go, what they run on, what is read.

What is read of a clip, and what reading may cost, is the same question for `emo predict`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.study_options import cache_option
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.config.extract import MediaLimits


def _known_person(_ctx: click.Context, _parameter: click.Parameter, person: str) -> str:
    if person and person not in ("largest", "speaker") and not re.fullmatch("[1-8]", person):
        raise click.BadParameter(f"{person!r} is none of 1 to 8, largest, speaker.")
    return person


FEATURES = [
    click.option(
        "--encoder",
        "-e",
        default="hubert,mae,videomae,eva",
        show_default=True,
        help="NAME[@PRESET][+VARIANT][,NAME...], see docs/encoders.md.",
    ),
    click.option(
        "--preset",
        metavar="[paper|base|large|tiny]",
        default="base",
        show_default=True,
        help="Which weights, for names without @. tiny: a check of the pipeline, no claim about emotion.",
    ),
    click.option(
        "--layers", default="", metavar="N[,N...]", help="Several layers, as frames@6, frames@9, ..."
    ),
    click.option("--views", default="", help="Augmented views too: noise@10dB,blur@4px,flip."),
]
RUNNING = [
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."),
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
        default="auto",
        show_default=True,
        help="auto is float32 on a CPU and a half on a card, whose error is measured and told.",
    ),
    click.option("--compile", "compiled", is_flag=True, help="Run encoders through torch.compile."),
    click.option(
        "--batch", type=click.IntRange(0), default=0, help="Clips at once; 0 is 1 on a CPU, 16 on a card."
    ),
    click.option(
        "--jobs", type=int, default=0, show_default=True, help="Decoding processes; 0 is one a core."
    ),
    click.option(
        "--shard", default="0/1", metavar="I/N", show_default=True, help="Do the I-th of N parts, from 0."
    ),
    click.option(
        "--backend",
        type=click.Choice(["local", "dask"]),
        default="local",
        show_default=True,
        help="Who does the work: this machine, or the workers of --scheduler.",
    ),
    click.option("--scheduler", default="", metavar="ADDRESS", help="Of dask, such as tcp://head:8786."),
]
STORING = [
    cache_option(),
    click.option(
        "--durability", type=click.Choice(["none", "batch", "record"]), default="batch", show_default=True
    ),
    click.option("--rights", metavar="NAME|FILE", help="Whose data the clips are, kept with the features."),
    click.option("--retry-failed", is_flag=True, help="Try clips again that failed before."),
    click.option("--redo", is_flag=True, help="Encode everything again."),
    click.option("--replace-changed", is_flag=True, help="Go on where many stored ids now name other media."),
    click.option("--rehash", is_flag=True, help="Read media and weights again that look unchanged."),
]
MEDIA = [
    click.option(
        "--faces",
        default="",
        metavar="NAME=VALUE,...",
        help="policy=largest|central|active|listener, sampling=onset-apex-offset:16, margin=, "
        "alignment=openface, ...",
    ),
    click.option(
        "--aligned-faces",
        type=click.Path(),
        metavar="DIR",
        help="OpenFace's faces, one NAME.npy a media file.",
    ),
    click.option(
        "--person",
        default="",
        metavar="N|largest|speaker",
        callback=_known_person,
        help="Whose face counts where there are several and the manifest names nobody; 1 is the leftmost. "
        "emo people shows them.",
    ),
]
LIMITS = [
    click.option(
        "--strict-root", is_flag=True, help="Refuse media outside the folder of CLIPS, and links there."
    ),
    click.option(
        "--media-limit",
        "limits",
        multiple=True,
        metavar="NAME=NUMBER",
        help="Such as most_seconds=3600, see docs/media.md; repeatable.",
    ),
]


def extract_options(command: Callable[..., None]) -> Callable[..., None]:
    """Every option of `emo extract`, in this order; those of `media_options` last."""
    command = media_options(command)
    for option in reversed([*FEATURES, *STORING, *RUNNING]):
        command = option(command)
    return command


def media_options(command: Callable[..., None]) -> Callable[..., None]:
    """Which faces are looked at and what media may claim and cost: the command gets `clips` and, as `media`,
    what `emo.pipeline.extract.extract` takes for them: faces, aligned_faces, person, limits."""

    @wraps(command)
    def gathered(
        *args: Any,
        clips: str | tuple[str, ...] | None,
        faces: str,
        aligned_faces: str | None,
        person: str,
        strict_root: bool,
        limits: tuple[str, ...],
        **others: Any,
    ) -> None:
        places = clips if isinstance(clips, tuple) else (clips or ".",)
        media = {
            "faces": _face_settings(faces),
            "aligned_faces": aligned_faces,
            "person": person,
            "limits": _media_limits(limits, _root(places) if strict_root else None),
        }
        command(*args, clips=clips, media=media, **others)

    for option in reversed([*MEDIA, *LIMITS]):
        gathered = option(gathered)
    return gathered


def media_limit_options(command: Callable[..., None]) -> Callable[..., None]:
    """What media may claim and cost: the command gets `clips` and `limits`."""

    @wraps(command)
    def gathered(
        *args: Any, clips: tuple[str, ...], strict_root: bool, limits: tuple[str, ...], **others: Any
    ) -> None:
        found = _media_limits(limits, _root(clips) if strict_root else None)
        command(*args, clips=clips, limits=found, **others)

    for option in reversed(LIMITS):
        gathered = option(gathered)
    return gathered


def _root(places: Sequence[str]) -> Path:
    """The one folder in or below which the clips lie; ConfigError where they name several."""
    found = {(path if path.is_dir() else path.parent).absolute() for path in map(Path, places)}
    if len(found) > 1:
        raise ConfigError(f"--strict-root allows one folder; CLIPS are in {len(found)}. Name one of them.")
    return found.pop()


def _media_limits(given: Sequence[str], root: Path | None) -> MediaLimits:
    """The limits with the NAME=NUMBER of `given`; media only below `root`."""
    from emo.config.extract import DEFAULTS

    if wrong := [item for item in given if "=" not in item]:
        raise ConfigError(*(f"--media-limit {item}: takes NAME=NUMBER." for item in wrong))
    return replace(DEFAULTS.with_numbers(dict(item.split("=", 1) for item in given)), root=root)


def _face_settings(given: str) -> dict[str, str]:
    items = [item.strip() for item in given.split(",") if item.strip()]
    if wrong := [item for item in items if "=" not in item]:
        raise ConfigError(*(f"--faces {item}: not NAME=VALUE, such as policy=active." for item in wrong))
    return dict(item.split("=", 1) for item in items)
