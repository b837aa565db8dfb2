"""`emo submit`: answers as the file that a MER challenge takes."""

from __future__ import annotations

from pathlib import Path

import click

from emo.cli.console import print_json
from emo.cli.study_options import json_option

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("answers", type=FILE)
@click.option("--track", required=True, help="Such as mer2023-multi or mer2026-track2; see the list above.")
@click.option("--out", required=True, type=FILE, help="The file; its ending is the track's.")
@click.option("--candidates", type=FILE, help="Table whose clips are submitted.  [default: every answer]")
@click.option("--missing", metavar="LABEL", help="Label for answers that name none.")
@json_option()
def submit(
    answers: Path, track: str, out: Path, candidates: Path | None, missing: str | None, as_json: bool
) -> None:
    """Write ANSWERS (.csv, .jsonl or -openset.npz) as a submission, and read it back to be sure.

    Tracks: mer2023-multi, -noise, -semi; mer2024-semi, -noise, -ov; mer2025-track1, -track2, -track3;
    mer2026-track1, -track2. No answer is made up: one without a label stops the command, or gets --missing.

    \b
    emo submit answers.jsonl --track mer2024-noise --out submission.csv
    emo submit words.jsonl --track mer2026-track2 --candidates candidates.csv --out ours-openset.npz
    """
    from emo.evaluation.answers_table import read_table
    from emo.evaluation.submissions import gathered, write_submission

    clips = tuple(read_table(candidates).rows) if candidates else ()
    submission, filled = gathered(track, read_table(answers), clips, missing)
    write_submission(out, submission)
    found = {"track": track, "file": str(out), "clips": len(submission.answers), "filled": filled}
    if as_json:
        print_json(found)
    else:
        click.echo(
            f"{out}: {len(submission.answers)} clips for {track}, {filled} filled with {missing or '-'}"
        )
