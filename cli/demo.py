"""`emo demo`: the whole road on rendered clips, with a report to look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from emo.cli.console import print_json, quieten_transformers, voice
from emo.cli.study_options import json_option


@click.command()
@click.option("--out", type=click.Path(file_okay=False), default="demo", show_default=True, help="Folder.")
@click.option("--clips", type=click.IntRange(48), help="Clips to render.  [default: 480]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the corpus and of training.")
@click.option("--quick", is_flag=True, help="A smaller run of about two minutes; its figures mean little.")
@click.option("--jobs", type=int, default=0, show_default=True, help="Worker processes; 0 is one a core.")
@json_option()
@click.pass_context
def demo(
    ctx: click.Context, out: str, clips: int | None, seed: int, quick: bool, jobs: int, as_json: bool
) -> None:
    """Render clips, extract four features, train heads and the LLaMA stage, answer, and write report.html.

    People and feelings are drawn by a program and the encoders are tiny: a check that everything works, no
    claim about real emotion.

    \b
    emo demo
    emo demo --quick --out try/ --json
    """
    from emo.config.demo import QUICK, DemoConfig
    from emo.pipeline.demo import run_demo

    config = replace(QUICK if quick else DemoConfig(), seed=seed)
    config = replace(config, clips=clips) if clips else config
    quieten_transformers()
    speaker = voice(ctx)
    with speaker.steps() as steps:
        result = run_demo(Path(out), config, jobs=jobs, on_event=steps.show)
    if as_json:
        print_json(result.to_json())
        return
    for line in result.lines():
        click.echo(line)
    click.echo(f"look at {Path(out) / 'report.html'}")
