"""`emo extract`: clips in, features in the cache."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from emo.cli.console import Voice, print_json, voice
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.config.cache import Durability
    from emo.pipeline.extract import ExtractResult
    from emo.pipeline.plan import ExtractPlan

EXIT_PARTIAL = 3
MOST_LISTED = 20


@click.command()
@click.argument("clips", required=False, type=click.Path())
@click.option("--encoder", "-e", default="hubert,mae,videomae,eva", show_default=True, help="NAME[,NAME...]")
@click.option(
    "--preset",
    type=click.Choice(["paper", "base", "tiny"]),
    default="base",
    show_default=True,
    help="Which weights. tiny is a check of the pipeline, no claim about real emotion.",
)
@click.option(
    "--cache", type=click.Path(), default="features.zarr", show_default=True, help="The feature store."
)
@click.option("--views", default="", help="Augmented views for training too: noise@10dB,flip.")
@click.option(
    "--faces",
    default="",
    help="Which faces: policy=largest|central|active|listener, sampling=onset-apex-offset:16, margin=, ...",
)
@click.option("--jobs", type=int, default=0, show_default=True, help="Decoding processes; 0 is one a core.")
@click.option(
    "--durability", type=click.Choice(["none", "batch", "record"]), default="batch", show_default=True
)
@click.option("--retry-failed", is_flag=True, help="Try clips again that failed before.")
@click.option("--redo", is_flag=True, help="Encode everything again.")
@click.option("--replace-changed", is_flag=True, help="Go on where many stored ids now name other media.")
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def extract(
    ctx: click.Context,
    clips: str | None,
    encoder: str,
    preset: str,
    cache: str,
    views: str,
    faces: str,
    jobs: int,
    durability: Durability,
    retry_failed: bool,
    redo: bool,
    replace_changed: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Store features of CLIPS (a folder, a manifest or a media file; default: here) in the cache.

    What is stored is not done again; stop with Ctrl-C and run the same command to go on.

    \b
    emo extract clips/ --encoder hubert,mae --cache features.zarr
    emo extract manifest.jsonl --encoder videomae --preset paper
    emo extract clips/ --encoder mae --faces policy=active,sampling=onset-apex-offset:16
    emo extract clips/ --encoder hubert,mae --views noise@10dB,flip
    """
    from emo.pipeline.extract import extract as run

    speaker = voice(ctx)
    with speaker.meter("extract") as meter:
        result = run(
            clips or ".",
            [name.strip() for name in encoder.split(",") if name.strip()],
            cache,
            preset=preset,
            views=[name.strip() for name in views.split(",") if name.strip()],
            faces=_settings(faces),
            jobs=jobs,
            retry_failed=retry_failed,
            redo=redo,
            replace_changed=replace_changed,
            durability=durability,
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


def _settings(given: str) -> dict[str, str]:
    items = [item.strip() for item in given.split(",") if item.strip()]
    if wrong := [item for item in items if "=" not in item]:
        raise ConfigError(*(f"--faces {item}: not NAME=VALUE, such as policy=active." for item in wrong))
    return dict(item.split("=", 1) for item in items)


def _show_plan(speaker: Voice, plan: ExtractPlan, preset: str) -> None:
    augmented = [part.encoder.spec.preset for part in plan.parts if "parent" in part.encoder.spec.recipe]
    spaces = f"{len(plan.parts) - len(augmented)} encoders ({preset})"
    if augmented:
        spaces = f"({spaces} + {len(augmented)} augmented views)"
    for line in plan.notes:
        speaker.note(line)
    speaker.note(
        f"{len(plan.clips)} clips x {spaces}: "
        f"{plan.already} pairs stored, {len(plan.failed_before)} failed before, {plan.to_do} to do"
        f"{f', {plan.ignored} other files ignored' if plan.ignored else ''}"
    )


def _show(result: ExtractResult) -> None:
    click.echo(
        f"{result.clips} clips: {result.stored} records stored, {result.already} stored before, "
        f"{len(result.failed)} failed ({result.seconds['total']:.1f} s)"
    )
    for failure in result.failed[:MOST_LISTED]:
        click.echo(f"  {failure.clip_id}  {failure.encoder}  {failure.status}  {failure.reason}")
    if len(result.failed) > MOST_LISTED:
        click.echo(f"  ... and {len(result.failed) - MOST_LISTED} more: emo cache ls --failed")
