"""`emo corpus`: clips of drawn people to try things on, data sets read, and beside each other."""

from __future__ import annotations

from pathlib import Path

import click

from emo.cli.console import print_json, voice
from emo.cli.corpus_data import list_command, read_command
from emo.cli.corpus_fetch import fetch_command
from emo.cli.study_options import json_option


@click.group()
def corpus() -> None:
    """Read, fetch and compare data sets; make clips to try things on."""


for command in (list_command, read_command, fetch_command):
    corpus.add_command(command)


@corpus.command()
@click.argument("out", type=click.Path(file_okay=False))
@click.option("--clips", type=click.IntRange(1, 28_618), default=480, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--labels", type=click.Choice(["mer2023", "merr"]), default="mer2023", show_default=True)
@click.option("--jobs", type=int, default=0, show_default=True, help="Rendering processes; 0 is one a core.")
@json_option()
@click.pass_context
def render(
    ctx: click.Context, out: str, clips: int, seed: int, labels: str, jobs: int, as_json: bool
) -> None:
    """Render CLIPS of drawn people into OUT: mp4, manifest, action units, MERR-style reasons.

    The people are drawn, their feelings are planted; nothing here says anything about real emotion.

    \b
    emo corpus render clips/ --clips 48 --seed 1
    emo corpus render clips/ --clips 480 --labels merr
    """
    from emo.config.corpus import CorpusConfig
    from emo.corpora.rendered.corpus import render_corpus
    from emo.labels import LABEL_SETS

    config = CorpusConfig(clips=clips, seed=seed, labels=LABEL_SETS[labels])
    done = 0
    with voice(ctx).meter("render") as meter:
        for done, _clip in enumerate(render_corpus(Path(out), config, jobs=jobs), start=1):
            meter.update(done, clips)
    summary: dict[str, object] = {
        "clips": done,
        "seed": seed,
        "manifest": str(Path(out) / "manifest.jsonl"),
        "contact_sheet": str(Path(out) / "contact_sheet.png"),
    }
    if as_json:
        print_json(summary)
    else:
        click.echo(f"{done} clips in {out}; look at {summary['contact_sheet']}")


@corpus.command()
@click.argument("own", nargs=-1)
@click.option("--only", multiple=True, help="Part of a data set's name; repeatable.  [default: all]")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the table as Markdown.")
@json_option()
def compare(own: tuple[str, ...], only: tuple[str, ...], out: str | None, as_json: bool) -> None:
    """Print data sets by size, labels, kinds of description, language and licence, with sources.

    OWN are manifests or folders of yours (NAME=PATH gives a name); they are counted and stand on top.

    \b
    emo corpus compare --only mer20 --only dfew
    emo corpus compare mine=clips/manifest.jsonl --out datasets.md
    """
    from dataclasses import asdict

    from emo.corpora.comparison import HEADERS, catalogue, chosen, counted
    from emo.errors import ConfigError
    from emo.evaluation.tables import markdown_table

    mine = []
    for given in own:
        name, _, path = given.rpartition("=")
        mine.append(counted(name or Path(path).stem, Path(path)))
    known = chosen(catalogue(), only)
    if only and not known:
        names = ", ".join(each.name for each in catalogue())
        raise ConfigError(f"no data set has {' or '.join(only)} in its name. Known: {names}.")
    sets = [*mine, *known]
    if as_json:
        print_json({"datasets": [asdict(one) for one in sets]})
        return
    table = markdown_table(HEADERS, [one.cells() for one in sets])
    sources = "".join(f"- {one.name}: {one.source}\n" for one in sets)
    text = f"{table}\nSources; read the owners' licence before you use the data.\n\n{sources}"
    if out:
        Path(out).write_text(text, encoding="utf-8")
        click.echo(f"{len(sets)} data sets in {out}")
    else:
        click.echo(text, nl=False)
