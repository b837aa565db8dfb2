"""`emo extract`: clips in, features in the cache."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.console import Voice, print_json, voice
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.config.cache import Durability
    from emo.config.extract import MediaLimits
    from emo.pipeline.extract import ExtractResult
    from emo.pipeline.plan import ExtractPlan

EXIT_PARTIAL = 3
MOST_LISTED = 20


@click.command()
@click.argument("clips", required=False, type=click.Path())
@click.option(
    "--encoder",
    "-e",
    default="hubert,mae,videomae,eva",
    show_default=True,
    help="NAME[@PRESET][+VARIANT][,NAME...]",
)
@click.option(
    "--preset",
    metavar="[paper|base|large|tiny]",
    default="base",
    show_default=True,
    help="Which weights, for names without @. tiny is a check of the pipeline, no claim about real emotion.",
)
@click.option("--layers", default="", metavar="N[,N...]", help="Several layers, as frames@6, frames@9, ...")
@click.option(
    "--cache", type=click.Path(), default="features.zarr", show_default=True, help="The feature store."
)
@click.option("--views", default="", help="Augmented views for training too: noise@10dB,flip.")
@click.option(
    "--faces",
    default="",
    help="Which faces: policy=largest|central|active|listener, sampling=onset-apex-offset:16, margin=, "
    "alignment=openface, ...",
)
@click.option(
    "--aligned-faces", type=click.Path(), metavar="DIR", help="OpenFace's faces, one NAME.npy a media file."
)
@click.option("--jobs", type=int, default=0, show_default=True, help="Decoding processes; 0 is one a core.")
@click.option(
    "--durability", type=click.Choice(["none", "batch", "record"]), default="batch", show_default=True
)
@click.option("--retry-failed", is_flag=True, help="Try clips again that failed before.")
@click.option("--redo", is_flag=True, help="Encode everything again.")
@click.option("--replace-changed", is_flag=True, help="Go on where many stored ids now name other media.")
@click.option(
    "--strict-root", is_flag=True, help="Refuse media outside the folder of CLIPS, and links there."
)
@click.option(
    "--media-limit",
    "limits",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Such as most_seconds=3600, see docs/media.md; repeatable.",
)
@click.option("--rehash", is_flag=True, help="Read media and weights again that look unchanged.")
@click.option("--rights", metavar="NAME|FILE", help="Whose data the clips are, kept with the features.")
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def extract(
    ctx: click.Context,
    clips: str | None,
    encoder: str,
    preset: str,
    layers: str,
    cache: str,
    views: str,
    faces: str,
    aligned_faces: str | None,
    jobs: int,
    durability: Durability,
    retry_failed: bool,
    redo: bool,
    replace_changed: bool,
    strict_root: bool,
    limits: tuple[str, ...],
    rehash: bool,
    rights: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Store features of CLIPS (a folder, a manifest or a media file; default: here) in the cache.

    What is stored is not done again; stop with Ctrl-C and run the same command to go on.

    \b
    emo extract clips/ --encoder hubert,mae --cache features.zarr
    emo extract manifest.jsonl --encoder videomae --preset paper
    emo extract clips/ --encoder hubert@paper+merbench,eva@paper+pool64
    emo extract clips/ --encoder wavlm@large --layers 6,9,12
    emo extract clips/ --encoder mae --faces policy=active,sampling=onset-apex-offset:16
    emo extract clips/ --encoder mae@paper --faces alignment=openface --aligned-faces openface_face/
    emo extract clips/ --encoder hubert,mae --views noise@10dB,flip
    """
    from emo.pipeline.extract import extract as run
    from emo.rights import load_rights

    speaker = voice(ctx)
    with speaker.meter("extract") as meter:
        result = run(
            clips or ".",
            [name.strip() for name in encoder.split(",") if name.strip()],
            cache,
            preset=preset,
            layers=_layers(layers),
            views=[name.strip() for name in views.split(",") if name.strip()],
            faces=_settings(faces),
            aligned_faces=aligned_faces,
            jobs=jobs,
            retry_failed=retry_failed,
            redo=redo,
            replace_changed=replace_changed,
            rehash=rehash,
            rights=load_rights(rights) if rights else None,
            durability=durability,
            limits=media_limits(limits, Path(clips or ".") if strict_root else None),
            dry_run=dry_run,
            on_plan=lambda plan: _show_plan(speaker, plan, preset),
            on_progress=lambda event: meter.update(event.done, event.total, event.clip_id),
        )
    if as_json:
        print_json(result.to_json())
    else:
        _show(result)
    if result.failed:
        sys.exit(EXIT_PARTIAL)


def media_limits(given: Sequence[str], root: Path | None) -> MediaLimits:
    """The limits with the NAME=NUMBER of `given`; media only below `root`, or beside it if it is a file."""
    from emo.config.extract import DEFAULTS
    from emo.errors import ConfigError

    if wrong := [item for item in given if "=" not in item]:
        raise ConfigError(*(f"--media-limit {item}: not NAME=NUMBER." for item in wrong))
    limits = DEFAULTS.with_numbers(dict(item.split("=", 1) for item in given))
    if root is None:
        return limits
    return replace(limits, root=(root if root.is_dir() else root.parent).absolute())


def _layers(told: str) -> tuple[int, ...]:
    try:
        return tuple(int(layer) for layer in told.split(",") if layer.strip())
    except ValueError:
        raise click.UsageError(f"--layers takes numbers such as 6,9,12, not {told!r}.") from None


def _settings(given: str) -> dict[str, str]:
    items = [item.strip() for item in given.split(",") if item.strip()]
    if wrong := [item for item in items if "=" not in item]:
        raise ConfigError(*(f"--faces {item}: not NAME=VALUE, such as policy=active." for item in wrong))
    return dict(item.split("=", 1) for item in items)


def _show_plan(speaker: Voice, plan: ExtractPlan, preset: str) -> None:
    augmented = [part.encoder.spec.preset for part in plan.parts if "parent" in part.encoder.spec.recipe]
    spaces = f"{len(plan.parts) - len(augmented)} encoders ({_presets(plan, preset)})"
    if augmented:
        spaces = f"({spaces} + {len(augmented)} augmented views)"
    for line in plan.notes:
        speaker.note(line)
    speaker.note(
        f"{len(plan.clips)} clips x {spaces}: "
        f"{plan.already} pairs stored, {len(plan.failed_before)} failed before, {plan.to_do} to do"
        f"{f', {plan.ignored} other files ignored' if plan.ignored else ''}"
    )


def _presets(plan: ExtractPlan, preset: str) -> str:
    """The preset, or each encoder's own where a name or a variant says otherwise, or weights are random."""
    specs = [part.encoder.spec for part in plan.parts]
    if all(spec.preset == preset for spec in specs):
        return preset
    return ", ".join(f"{spec.encoder}@{spec.preset}" for spec in specs)


def _show(result: ExtractResult) -> None:
    click.echo(
        f"{result.clips} clips: {result.stored} records stored, {result.already} stored before, "
        f"{len(result.failed)} failed ({result.seconds['total']:.1f} s)"
    )
    for failure in result.failed[:MOST_LISTED]:
        click.echo(f"  {failure.clip_id}  {failure.encoder}  {failure.status}  {failure.reason}")
    if len(result.failed) > MOST_LISTED:
        click.echo(f"  ... and {len(result.failed) - MOST_LISTED} more: emo cache ls --failed")
