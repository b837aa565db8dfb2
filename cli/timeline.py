"""`emo timeline`: a long video divided into segments, and a label for each."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import Voice, print_json, quieten_transformers, voice
from emo.cli.extract_options import media_options
from emo.cli.model_options import abstain_option, loaded, note_unknown, optional_model_options
from emo.cli.sections import Sectioned
from emo.cli.study_options import json_option
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.config.extract import MediaLimits
    from emo.config.timeline import TimelineConfig
    from emo.pipeline.timeline import Divided

EXIT_PARTIAL = 3


@click.command(cls=Sectioned)
@click.argument("clips", metavar="VIDEO", type=click.Path(dir_okay=False))
@optional_model_options
@media_options
@accept_option()
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    default="timeline",
    show_default=True,
    help="Folder for timeline.json, .csv, .srt and .png.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Such as longest=8, see docs/timeline.md."
)
@click.option("--no-reasons", is_flag=True, help="Labels only.")
@abstain_option()
@click.option("--jobs", type=int, default=0, show_default=True, help="Decoding processes; 0 is one a core.")
@click.option("--dry-run", is_flag=True, help="Show the segments and stop; needs no model, writes nothing.")
@json_option()
@click.pass_context
def timeline(
    ctx: click.Context,
    /,
    clips: str,
    model: str | None,
    cache: str,
    force: bool,
    accept: str | None,
    loading: dict[str, Any],
    media: dict[str, Any],
    out: str,
    settings: tuple[str, ...],
    no_reasons: bool,
    abstain_below: float,
    jobs: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Divide VIDEO at its shots and pauses, and answer for each segment as `emo predict` does.

    The label is perceived expression, not what the person feels; see docs/responsible-use.md. Features go
    into the cache; stop with Ctrl-C and run the same command to go on.

    \b
    emo timeline talk.mp4 --model runs/head --out talk-timeline
    emo timeline talk.mp4 --dry-run --set longest=5
    """
    from emo.corpora.manifest import refuse_missing

    refuse_missing(Path(clips))  # before what is slow to import
    from emo.pipeline.answering import answers_run
    from emo.pipeline.people import crowd_note, crowded
    from emo.pipeline.predict import prepare
    from emo.pipeline.timeline import ANSWERS, SURVEY, answer_segments
    from emo.pipeline.timeline_files import FILES, timeline_json, write_timeline
    from emo.responsible import BEFORE_ANALYSIS

    speaker, folder, video = voice(ctx), Path(out), Path(clips)
    config = _config(settings)
    if model is None and not dry_run:
        raise click.UsageError("give --model FOLDER, or --dry-run to see the segments alone.")
    for line in BEFORE_ANALYSIS:
        speaker.note(line)
    if dry_run or model is None:
        whole = _divided(speaker, video, config, None, media["limits"], jobs)
        told = timeline_json(whole)
        print_json(told) if as_json else _show(told)
        return
    quieten_transformers()
    system = loaded(model, loading, force=force)
    folder.mkdir(parents=True, exist_ok=True)
    whole = _divided(speaker, video, config, folder / SURVEY, media["limits"], jobs)
    with speaker.steps() as steps:
        ready = prepare(
            system,
            whole.clips,
            cache,
            force=force,
            accept_degraded=accept == DEGRADED,
            jobs=jobs,
            **media,
            on_people=lambda done, total, note: steps.show("who is it", done, total, note),
            on_progress=lambda event: steps.show("extract", event.done, event.total, event.clip_id),
        )
        steps.close()
        whole = replace(whole, clips=tuple(ready.clips))
        note_unknown(speaker, system, ready.spaces)
        several = crowded(whole.clips, ready.spaces)
        for line in crowd_note(len(several), "segments", several):
            speaker.note(line)
        answered = answer_segments(
            whole,
            ready,
            folder / ANSWERS,
            answers_run(
                Path(model),
                ready.spaces,
                loading,
                force=force,
                abstain_below=abstain_below,
                reasons=not no_reasons,
            ),
            reasons=not no_reasons,
            abstain_below=abstain_below,
            on_progress=lambda done, total, note: steps.show("answers", done, total, note),
        )
    told = write_timeline(folder, whole, answered, model)
    if as_json:
        print_json({**told, "out": out})
    else:
        _show(told)
        click.echo(f"{folder}: {', '.join(FILES)}")
    if any(one.failed for one in answered):
        sys.exit(EXIT_PARTIAL)


def _config(settings: Sequence[str]) -> TimelineConfig:
    """The settings of each NAME=VALUE over the defaults; ConfigError with every mistake."""
    from emo.config.strict import checked, parse, unknown_keys
    from emo.config.timeline import TimelineConfig

    if wrong := [item for item in settings if "=" not in item]:
        raise ConfigError(*(f"--set {item}: takes NAME=VALUE, as in --set longest=8." for item in wrong))
    given: dict[str, Any] = {}
    for item in settings:
        name, _, value = item.partition("=")
        given |= parse(f"{name}: {value}", f"--set {item}")
    unknown = unknown_keys(given, TimelineConfig, "--set")
    return checked(TimelineConfig, given, "--set", unknown, TimelineConfig.mistakes)


def _divided(
    speaker: Voice, video: Path, config: TimelineConfig, kept: Path | None, limits: MediaLimits, jobs: int
) -> Divided:
    from emo.pipeline.timeline import divide

    with speaker.meter("look and listen") as meter:
        whole = divide(video, config, kept=kept, limits=limits, jobs=jobs, on_progress=meter.update)
    for line in whole.survey.notes:
        speaker.note(line)
    voiced = sum(end - start for start, end in whole.voice)
    speaker.note(
        f"{whole.survey.seconds:.1f} s, {len(whole.cuts) + 1} shots, {voiced:.1f} s of voice: "
        f"{len(whole.segments)} segments"
    )
    return whole


def _show(told: dict[str, Any]) -> None:
    """A line a segment: when it is, what is said of it, how much of it is voice."""
    from emo.pipeline.timeline import clock
    from emo.pipeline.timeline_files import said_of

    for row in told["segments"]:
        said = said_of(row) if "status" in row else ""
        trouble = f"  ({row['status']})" if row.get("status", "ok") != "ok" and row["features"] else ""
        voiced = f"voice {row['voice']:.0%}".rjust(10)
        when = f"{clock(row['start'])} - {clock(row['end'])}"
        click.echo(f"{when}  shot {row['shot']}  {voiced}  {said}{trouble}".rstrip())
        if row.get("text"):
            click.echo(f"  {row['text']}")
