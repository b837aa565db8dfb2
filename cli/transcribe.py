"""`emo transcribe`: what is said in clips, heard by faster-whisper, into their manifest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.console import print_json, voice
from emo.cli.study_options import json_option

if TYPE_CHECKING:
    from emo.pipeline.transcribe import TranscribeResult

EXIT_PARTIAL = 3
MOST_LISTED = 20


@click.command()
@click.argument("manifest", type=click.Path())
@click.option("--out", type=click.Path(dir_okay=False), help="The manifest to write, .jsonl or .csv.")
@click.option("--in-place", is_flag=True, help="Write the words into MANIFEST itself.")
@click.option(
    "--model",
    default="small",
    show_default=True,
    metavar="DIR|ID",
    help="A folder with a Whisper in CTranslate2's layout, or a name that faster-whisper fetches.",
)
@click.option("--language", metavar="CODE", help="Such as zh or en.  [default: detected in each clip]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--jobs", type=int, default=0, show_default=True, help="Decoding processes; 0 is one a core.")
@json_option()
@click.pass_context
def transcribe(
    ctx: click.Context,
    manifest: str,
    out: str | None,
    in_place: bool,
    model: str,
    language: str | None,
    device: str,
    jobs: int,
    as_json: bool,
) -> None:
    """Write what is said in the clips of MANIFEST (or of a folder) into a manifest.

    Words that are there already are kept. Where nobody speaks the words stay empty. Stop with Ctrl-C and run
    the same command to go on: what was heard is in OUT.heard.jsonl.

    \b
    emo transcribe manifest.jsonl --out with_words.jsonl --language zh
    emo transcribe manifest.jsonl --in-place --model models/faster-whisper-large-v3
    """
    from emo.corpora.texts import manifest_of
    from emo.pipeline.speech_to_text import FasterWhisper
    from emo.pipeline.transcribe import transcribe as run

    place = Path(manifest)
    source = manifest_of(place)
    if in_place == bool(out):
        raise click.UsageError("give --out FILE or --in-place, one of the two.")
    if in_place and source is None:
        raise click.UsageError(f"{manifest} has no manifest to write into. Give --out FILE.")
    target = source if in_place and source is not None else Path(out or "")
    if out and source is not None and target.exists() and target.samefile(source):
        raise click.UsageError(f"--out is {manifest} itself. Say --in-place if that is meant.")
    with voice(ctx).meter("transcribe") as meter:
        result = run(
            place,
            target,
            lambda: FasterWhisper(model, language=language, device=device),
            who=f"faster-whisper {model} {language or 'any language'}",
            jobs=jobs,
            on_progress=meter.update,
        )
    if as_json:
        print_json(result.to_json())
    else:
        _show(result)
    if any(one.status.startswith("failed:") for one in result.unheard):
        sys.exit(EXIT_PARTIAL)


def _show(result: TranscribeResult) -> None:
    click.echo(
        f"{result.clips} clips: {result.given} had words, {result.heard} heard, {result.silent} without "
        f"speech, {len(result.unheard)} without sound; {result.manifest}"
    )
    for one in result.unheard[:MOST_LISTED]:
        click.echo(f"  {one.clip_id}  {one.status}  {one.reason}")
    if len(result.unheard) > MOST_LISTED:
        click.echo(f"  ... and {len(result.unheard) - MOST_LISTED} more: --json lists them all")
