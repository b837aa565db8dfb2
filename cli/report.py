"""`emo report`: your results beside published ones, or what several systems say of one clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from emo.cli.console import print_json, voice
from emo.cli.study_options import json_option
from emo.errors import ConfigError

FILE = click.Path(dir_okay=False, path_type=Path)
PLACE = click.Path(path_type=Path)
ANSWERS = "--answers NAME=FILE"


@click.command()
@click.argument("results", nargs=-1)
@click.option(
    "--board", "boards", multiple=True, help="Published table, by name or YAML file.  [default: all]"
)
@click.option(
    "--against", default="", metavar="NAME", help="Compare the other results with this one, clip by clip."
)
@click.option("--list", "listed", is_flag=True, help="Name the published tables.")
@click.option("--clip", help="One clip: what each of --answers says of it.")
@click.option("--answers", multiple=True, metavar="NAME=FILE", help="With --clip: a system's answers.")
@click.option("--truth", type=PLACE, help="With --clip: manifest, its folder, or a table with labels.")
@click.option("--clues", type=click.Path(path_type=Path), help="With --clip: clue file, or MERR folder.")
@click.option("--out", "outs", multiple=True, type=FILE, help="Write .html, .md, .tex or .txt; repeatable.")
@json_option()
@click.pass_context
def report(
    ctx: click.Context,
    results: tuple[str, ...],
    boards: tuple[str, ...],
    against: str,
    listed: bool,
    clip: str | None,
    answers: tuple[str, ...],
    truth: Path | None,
    clues: Path | None,
    outs: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Print RESULTS, folders with a scores.json (NAME=FOLDER gives a name), beside published tables.

    Folders of one name are runs of one system: mean and standard deviation. Declared groups and the rights of
    the data stand in tables of their own. Caveats stand below each table; rows of another protocol carry a
    dagger, yours an arrow. With --clip the answers of several systems for one clip stand side by side, each
    clue marked.

    \b
    emo report ours=runs/llm/test --board mer2023-semi --out table.html --out table.tex
    emo report a=runs/s0/test a=runs/s1/test b=runs/lmf/test --against b
    emo report --clip clip_007 --truth manifest.jsonl --answers llm=a.jsonl --answers head=b.jsonl
    """
    from emo.evaluation.leaderboard import board_names

    if listed:
        names = board_names()
        if as_json:
            print_json({"boards": names})
        else:
            click.echo("\n".join(names))
    elif clip is not None:
        _clip(ctx, clip, answers, truth, clues, outs, as_json)
    elif answers or truth or clues:
        raise ConfigError(f"{ANSWERS}, --truth and --clues go with --clip ID.")
    else:
        _boards(ctx, results, boards, against, outs, as_json)


def _boards(
    ctx: click.Context,
    results: Sequence[str],
    boards: Sequence[str],
    against: str,
    outs: Sequence[Path],
    as_json: bool,
) -> None:
    from emo.evaluation.board_text import FORMS, terminal
    from emo.pipeline.own_report import own_report

    _refuse_suffixes(outs, tuple(FORMS))
    found = own_report(results, boards, against=against)
    for path in outs:
        _write(ctx, path, FORMS[path.suffix.lower()](found.tables))
    if as_json:
        print_json(found.to_json())
    elif not outs:
        click.echo(terminal(found.tables), nl=False)


def _clip(
    ctx: click.Context,
    clip: str,
    answers: Sequence[str],
    truth: Path | None,
    clues: Path | None,
    outs: Sequence[Path],
    as_json: bool,
) -> None:
    from emo.corpora.manifest import manifest_of
    from emo.evaluation.side_by_side import view_report, view_text
    from emo.pipeline.clip_report import clues_in, view_clip

    if truth is None or not answers:
        raise ConfigError(f"--clip needs --truth FILE and at least one {ANSWERS}.")
    _refuse_suffixes(outs, (".html", ".txt"))
    view = view_clip(
        clip,
        manifest_of(truth),
        [_named(given) for given in answers],
        clues_in(clues) if clues is not None else None,
    )
    for path in outs:
        page = view_report(view).html() if path.suffix.lower() == ".html" else view_text(view)
        _write(ctx, path, page)
    if as_json:
        print_json(view.to_json())
    elif not outs:
        click.echo(view_text(view), nl=False)


def _named(given: str) -> tuple[str, Path]:
    name, _, path = given.rpartition("=")
    return name or Path(path).stem, Path(path)


def _refuse_suffixes(outs: Sequence[Path], known: Sequence[str]) -> None:
    if wrong := [path for path in outs if path.suffix.lower() not in known]:
        raise ConfigError(f"--out {wrong[0]}: the ending says the form. Known: {', '.join(known)}.")


def _write(ctx: click.Context, path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    voice(ctx).note(f"wrote {path}")
