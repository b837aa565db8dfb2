"""`emo corpus list` and `read`: which data sets emo reads, and their folders into manifests."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.console import print_json, voice
from emo.cli.study_options import json_option
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.corpora.datasets.reading import Row
    from emo.corpora.datasets.writing import Written

EXIT_PARTIAL = 3
MISSING_SHOWN = 5
FOLDER = click.Path(path_type=Path)


@click.command("list")
@click.argument("name", required=False)
@json_option()
def list_command(name: str | None, as_json: bool) -> None:
    """Print the data sets that `emo corpus read` knows; with NAME all that is known of one.

    \b
    emo corpus list
    emo corpus list dfew
    """
    from emo.corpora.comparison import catalogue
    from emo.corpora.datasets import READERS, reader
    from emo.evaluation.tables import markdown_table

    facts = {one.key: one for one in catalogue()}
    rows: list[dict[str, object]] = []
    for key in [name] if name else READERS:
        how, known = reader(key), facts.get(key)
        rows.append(
            {
                "name": key,
                "layout": how.layout,
                "options": {option: list(values) for option, values in how.options.items()},
                "clips": known.clips if known else None,
                "labels": known.labels if known else "",
                "rights": known.rights.to_json() if known else None,
                "licence_source": known.licence_source if known else "",
            }
        )
    if as_json:
        print_json({"datasets": rows})
    elif name:
        click.echo("\n".join(_all_of(rows[0])))
    else:
        headers = ("name", "clips", "labels", "licence")
        cells = [
            (key, f"{one.clips:,}", one.labels, one.licence) if one else (key, "any", "one's own", "-")
            for key, one in ((key, facts.get(key)) for key in READERS)
        ]
        click.echo(markdown_table(headers, cells), nl=False)
        click.echo("\nemo corpus list NAME shows the layout, the options, and what the owner allows.")


def _all_of(row: dict[str, object]) -> list[str]:
    options, rights = row["options"], row["rights"]
    assert isinstance(options, dict)
    lines = [f"{row['name']}: {row['labels'] or 'what the table says'}", f"  layout: {row['layout']}"]
    lines += [f"  --option {name}={'|'.join(values)}" for name, values in options.items()]
    if isinstance(rights, dict):
        lines += [
            f"  {key}: {value if value is not None else 'nobody said: ask the owner'}"
            for key, value in rights.items()
        ]
    if row["licence_source"]:
        lines.append(f"  the licence as far as it was read: {row['licence_source']}")
    return lines


@click.command("read")
@click.argument("name")
@click.argument("folder", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="The manifest: .jsonl or .csv.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Such as fold=2; see emo corpus list NAME.",
)
@click.option(
    "--column", "columns", multiple=True, metavar="NAME=COLUMN", help="own: where a column comes from."
)
@click.option("--encoding", default="utf-8", show_default=True, help="Of text files; never guessed.")
@click.option(
    "--rights", metavar="NAME|FILE", help="What the owner allows.  [default: what the catalogue says]"
)
@click.option("--keep-missing", is_flag=True, help="Keep rows whose media file is not there.")
@click.option(
    "--hash-speakers",
    "key_file",
    type=FOLDER,
    metavar="KEYFILE",
    help="Speakers under hashed names. Keep the file, made where there is none, away from the features.",
)
@json_option()
@click.pass_context
def read_command(
    ctx: click.Context,
    name: str,
    folder: Path,
    out: Path,
    options: tuple[str, ...],
    columns: tuple[str, ...],
    encoding: str,
    rights: str | None,
    keep_missing: bool,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Read the data set NAME in FOLDER into a manifest; exit 3 where media files are missing.

    The manifest names clips, labels, speakers and splits; beside it stands what the owner allows, which
    caches and runs made of it inherit.

    \b
    emo corpus read ravdess RAVDESS/ --out ravdess.jsonl --option fold=1
    emo corpus read iemocap IEMOCAP/ --out iemocap.csv --option labels=6way
    emo corpus read own clips.csv --out m.jsonl --column clip_id=name --column path=films/{name}.mp4
    """
    from emo.corpora.datasets.writing import read_dataset, write_dataset
    from emo.corpora.declared import load_rights

    odd: list[str] = []
    rows, allowed = read_dataset(
        name,
        folder,
        _pairs("--option", options),
        encoding=encoding,
        columns=_pairs("--column", columns),
        rights=load_rights(rights) if rights else None,
        pass_over=odd.append,
    )
    if key_file is not None:
        rows = _hashed(rows, key_file)
    written = write_dataset(rows, out, allowed, keep_missing=keep_missing)
    speaker = voice(ctx)
    for row in written.missing[:MISSING_SHOWN]:
        speaker.note(f"not there: {row.clip.clip_id}  {row.clip.path}")
    if odd:
        some = ", ".join(sorted(odd)[:MISSING_SHOWN]) + (", ..." if len(odd) > MISSING_SHOWN else "")
        speaker.note(f"{len(odd)} media files passed over, their names are none of {name}: {some}")
    if as_json:
        print_json({"dataset": name, **written.to_json(), "passed_over": len(odd)})
    else:
        click.echo("\n".join(_told(name, written, keep_missing)))
    if written.missing and not keep_missing:
        sys.exit(EXIT_PARTIAL)


def _hashed(rows: Sequence[Row], key_file: Path) -> list[Row]:
    from emo.corpora.pseudonyms import load_key, pseudonym

    key = load_key(key_file)
    clips = [
        replace(row.clip, speaker=pseudonym(key, row.clip.dataset or "", row.clip.speaker))
        if row.clip.speaker
        else row.clip
        for row in rows
    ]
    return [replace(row, clip=clip) for row, clip in zip(rows, clips, strict=True)]


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    if wrong := [item for item in given if "=" not in item]:
        raise ConfigError(*(f"{option} {item}: not NAME=VALUE." for item in wrong))
    return dict(item.split("=", 1) for item in given)


def _told(name: str, written: Written, kept: bool) -> list[str]:
    told = written.to_json()
    splits, labels = told["splits"], told["labels"]
    assert isinstance(splits, dict) and isinstance(labels, dict)
    lines = [f"{name}: {told['clips']} clips in {written.manifest}"]
    lines.append(f"  splits: {', '.join(f'{split} {count}' for split, count in splits.items())}")
    lines.append(f"  labels: {', '.join(f'{label} {count}' for label, count in labels.items()) or 'none'}")
    lines.append(
        f"  {told['speakers']} speakers, {told['without_label']} clips without a label, "
        f"{told['without_text']} without words"
    )
    if written.missing:
        what = "kept" if kept else "left out"
        lines.append(f"  {len(written.missing)} media files are not there, {what}: see {written.listed}")
    lines.append(
        f"  {written.rights.sentence}" if written.rights else "  nobody said whose data it is: --rights"
    )
    return lines
