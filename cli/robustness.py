"""`emo robustness`: a trained model on noisy and blurred clips, and without each of its features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import SCHEMA_VERSION, print_json, quieten_transformers, voice
from emo.cli.labelled import of_split
from emo.cli.model_options import loaded, model_options, note_unknown
from emo.cli.sections import Sectioned
from emo.cli.study_options import json_option, manifest_option

NAMES = ("robustness.json", "robustness.md", "robustness.png")


@click.command(cls=Sectioned)
@model_options
@accept_option()
@manifest_option()
@click.option("--split", default="test", show_default=True, help="Split to score; `all` takes every clip.")
@click.option("--views", default="", help="noise@10dB,blur@4px,...  [default: all that the cache has]")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for table, figure and JSON.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@json_option()
@click.pass_context
def robustness(
    ctx: click.Context,
    model: str,
    cache: str,
    force: bool,
    accept: str | None,
    loading: dict[str, Any],
    manifest: str,
    split: str,
    views: str,
    out: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Score a trained model on the same clips as they are, under augmented views, and without each feature.

    \b
    emo extract clips/ --encoder hubert,mae,videomae,eva --views noise@10dB,noise@0dB,blur@4px
    emo robustness --model runs/head --manifest clips/manifest.jsonl --out runs/head/robustness
    emo robustness --model runs/head --manifest clips/manifest.jsonl --json
    """
    from emo.cache import open_cache
    from emo.corpora.manifest import clips_in
    from emo.evaluation.figures import save_figure
    from emo.extractors.augment import parse_augmentation
    from emo.pipeline.ablation_figure import ablation_figure
    from emo.pipeline.predict import spaces_of
    from emo.pipeline.robustness import (
        conditions,
        robustness_json,
        robustness_markdown,
        under_conditions,
    )

    quieten_transformers()
    named = [str(parse_augmentation(view.strip())) for view in views.split(",") if view.strip()]
    clips = of_split(manifest, clips_in(Path(manifest))[0], split)
    system = loaded(model, loading, force=force)
    store = open_cache(cache, accept_degraded=accept == DEGRADED)
    spaces = spaces_of(system, store, force=force)
    note_unknown(voice(ctx), system, spaces)
    chosen = conditions(system, store, spaces, named)
    if not any(one.views for one in chosen):
        voice(ctx).note(
            "the cache has no augmented views. emo extract --views noise@10dB,blur@4px makes some."
        )
    found = under_conditions(system, clips, spaces, chosen, seed=seed)
    payload = {"model": model, "split": split, **robustness_json(found)}
    table = robustness_markdown(found)
    if out:
        place = Path(out)
        place.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"schema_version": SCHEMA_VERSION, **payload}, indent=1, ensure_ascii=False)
        (place / NAMES[0]).write_text(text + "\n", encoding="utf-8")
        (place / NAMES[1]).write_text(table, encoding="utf-8")
        save_figure(ablation_figure(payload), place / NAMES[2])
    if as_json:
        print_json(payload)
    else:
        click.echo(table, nl=False)
