"""`emo people`: who is seen in clips, for whoever is to say whom a clip is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.console import print_json, voice
from emo.cli.extract_options import media_limit_options
from emo.cli.study_options import json_option

if TYPE_CHECKING:
    from emo.config.extract import MediaLimits
    from emo.pipeline.people import Seen


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path())
@media_limit_options
@click.option(
    "--sheet", type=click.Path(dir_okay=False), help="Draw everybody's face with their number: a PNG."
)
@click.option("--jobs", type=int, default=0, show_default=True, help="Decoding processes; 0 is one a core.")
@json_option()
@click.pass_context
def people(
    ctx: click.Context,
    /,
    clips: tuple[str, ...],
    limits: MediaLimits,
    sheet: str | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Show who is seen in CLIPS (media files, folders or manifests): the numbers that --person takes.

    People are counted from left to right. Who speaks is told by how well a mouth follows the sound.

    \b
    emo people talk.mp4 --sheet people.png
    emo people clips/ --json
    emo predict talk.mp4 --model runs/head --person 2
    """
    from emo.corpora.manifest import refuse_missing

    for place in clips:  # before what is slow to import
        refuse_missing(Path(place))
    from emo.pipeline.people import look_at_people
    from emo.pipeline.people_sheet import write_people_sheet
    from emo.pipeline.predict import clips_named

    chosen, found = clips_named(clips), []
    with voice(ctx).meter("look for people") as meter:
        for number, seen in enumerate(look_at_people(chosen, limits=limits, jobs=jobs), start=1):
            found.append(seen)
            meter.update(number, len(chosen), seen.clip.clip_id)
    if as_json:
        told: list[dict[str, Any]] = [dict(seen.to_json()) for seen in found]
        print_json({"clips": told, "sheet": sheet})
    else:
        for seen in found:
            _show(seen)
    if sheet:
        write_people_sheet(Path(sheet), found)
        if not as_json:
            click.echo(sheet)


def _show(seen: Seen) -> None:
    """A line a person, under a line for the clip."""
    if seen.status:
        click.echo(f"{seen.clip.clip_id}: {seen.status}  {seen.reason}")
        return
    click.echo(f"{seen.clip.clip_id}: {len(seen.people)} {'person' if len(seen.people) == 1 else 'people'}")
    for number, person in enumerate(seen.people, start=1):
        mouth = "" if person["speaking"] is None else f"  mouth follows the sound {person['speaking']:.2f}"
        largest = "  largest" if number == seen.largest and len(seen.people) > 1 else ""
        click.echo(
            f"  {number}  {person['from']:.1f} to {person['to']:.1f} s, in {person['seen']:.0%} of the looks"
            f"  {person['role']}{mouth}{largest}"
        )
