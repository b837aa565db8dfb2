"""`emo corpus render`: clips of drawn people, with labels, action units and reasons."""

from __future__ import annotations

from pathlib import Path

import click

from emo.cli.console import print_json, voice


@click.group()
def corpus() -> None:
    """Make clips to try things on."""


@corpus.command()
@click.argument("out", type=click.Path(file_okay=False))
@click.option("--clips", type=click.IntRange(1, 28_618), default=480, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--labels", type=click.Choice(["mer2023", "merr"]), default="mer2023", show_default=True)
@click.option("--jobs", type=int, default=0, show_default=True, help="Rendering processes; 0 is one a core.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
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
