"""`emo extract`: clips in, features in the cache."""

from __future__ import annotations

import sys
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from emo.cli.cache_options import size
from emo.cli.console import Meter, Voice, print_json, voice
from emo.cli.extract_options import extract_options
from emo.cli.sections import Sectioned
from emo.cli.study_options import json_option

if TYPE_CHECKING:
    from emo.pipeline.plan import ExtractPlan
    from emo.pipeline.progress import ExtractProgress, ExtractResult

EXIT_PARTIAL = 3
MOST_LISTED = 20
MUCH = 1 << 30  # bytes from which on something smaller is proposed
MEASURED_ON = 8  # clips before size is foretold


@click.command(cls=Sectioned)
@click.argument("clips", required=False, type=click.Path())
@extract_options
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@json_option()
@click.pass_context
def extract(
    ctx: click.Context,
    /,
    clips: str | None,
    encoder: str,
    preset: str,
    layers: str,
    views: str,
    rights: str | None,
    shard: str,
    backend: str,
    scheduler: str,
    media: dict[str, Any],
    as_json: bool,
    **settings: Any,
) -> None:
    """Store features of CLIPS (a folder, a manifest or a media file; default: here) in the cache.

    What is stored is not done again; stop with Ctrl-C and run the same command to go on.

    \b
    emo extract clips/ --encoder hubert,mae --cache features.zarr
    emo extract manifest.jsonl --encoder hubert@paper+merbench,eva@paper+pool64
    emo extract clips/ --encoder mae --faces policy=active,sampling=onset-apex-offset:16
    emo extract clips/ --encoder mae@paper --faces alignment=openface --aligned-faces openface_face/
    emo extract manifest.jsonl --shard 3/16 --device cuda
    """
    from emo.cache import open_cache
    from emo.corpora.declared import load_rights
    from emo.pipeline.extract import extract as run
    from emo.pipeline.parts import Shard

    if (backend == "dask") != bool(scheduler):
        raise click.UsageError("--backend dask and --scheduler ADDRESS go together.")
    speaker = voice(ctx)
    with speaker.meter("extract") as meter:
        shown = _Shown(speaker, meter)
        result = run(
            clips or ".",
            [name.strip() for name in encoder.split(",") if name.strip()],
            preset=preset,
            layers=_layers(layers),
            views=[name.strip() for name in views.split(",") if name.strip()],
            rights=load_rights(rights) if rights else None,
            shard=Shard.parse(shard),
            scheduler=scheduler,
            on_plan=lambda plan: shown.plan(plan, preset),
            on_progress=shown.progress,
            **media,
            **settings,
        )
    for note in result.notes[shown.notes :]:
        speaker.note(note)
    for record in open_cache(ctx.params["cache"]).data:
        if record.expired(date.today()):
            speaker.note(f"{record.sentence}: emo cache forget --expired")
    if as_json:
        print_json(result.to_json())
    else:
        _show(result)
    if result.failed:
        sys.exit(EXIT_PARTIAL)


def _layers(told: str) -> tuple[int, ...]:
    try:
        return tuple(int(layer) for layer in told.split(",") if layer.strip())
    except ValueError:
        raise click.UsageError(f"--layers takes numbers such as 6,9,12, not {told!r}.") from None


class _Shown:
    """The plan before the work, what it will come to once some is done, and how far it has come."""

    def __init__(self, speaker: Voice, meter: Meter) -> None:
        self._speaker, self._meter = speaker, meter
        self._told = False
        self._clips = 0
        self.notes = 0

    def plan(self, plan: ExtractPlan, preset: str) -> None:
        self.notes = len(plan.notes)
        for line in plan.notes:
            self._speaker.note(line)
        ignored = f", {plan.ignored} other files ignored" if plan.ignored else ""
        self._speaker.note(
            f"{len(plan.clips)} clips x {_spaces(plan, preset)}: {plan.already} pairs stored, "
            f"{len(plan.failed_before)} failed before, {plan.to_do} to do{ignored}"
        )
        if plan.least_bytes:
            self._speaker.note(f"at least {size(plan.least_bytes)}{_smaller(plan)}")

    def progress(self, event: ExtractProgress) -> None:
        self._meter.update(event.done, event.total, event.clip_id, share=event.share)
        self._clips += 1
        if not self._told and self._clips >= MEASURED_ON and event.share and event.done < event.total:
            self._told = True
            self._speaker.note(f"about {size(int(event.bytes / event.share))} of features in all")


def _smaller(plan: ExtractPlan) -> str:
    """What to type for less, where whole EVA tokens are most of what is to be stored."""
    whole = [part for part in plan.parts if part.to_do and part.encoder.spec.encoder == "eva"]
    if plan.least_bytes >= MUCH and any("+" not in part.encoder.spec.preset for part in whole):
        return "; eva tokens are most of it: eva@int8 takes half, eva@pool64 a sixteenth (docs/encoders.md)"
    return ""


def _spaces(plan: ExtractPlan, preset: str) -> str:
    augmented = sum("parent" in part.encoder.spec.recipe for part in plan.parts)
    encoders = f"{len(plan.parts) - augmented} encoders ({_presets(plan, preset)})"
    return f"({encoders} + {augmented} augmented views)" if augmented else encoders


def _presets(plan: ExtractPlan, preset: str) -> str:
    """The preset, or each encoder's own where a name or a variant says otherwise, or weights are random."""
    specs = [part.encoder.spec for part in plan.parts if "parent" not in part.encoder.spec.recipe]
    if all(spec.preset == preset for spec in specs):
        return preset
    return ", ".join(f"{spec.encoder}@{spec.preset}" for spec in specs)


def _show(result: ExtractResult) -> None:
    click.echo(
        f"{result.clips} clips: {result.stored} records stored ({size(result.bytes)}), {result.already} "
        f"stored before, {len(result.failed)} failed ({result.seconds['total']:.1f} s)"
    )
    for failure in result.failed[:MOST_LISTED]:
        click.echo(f"  {failure.clip_id}  {failure.encoder}  {failure.status}  {failure.reason}")
    if len(result.failed) > MOST_LISTED:
        click.echo(f"  ... and {len(result.failed) - MOST_LISTED} more: emo cache ls --failed")
