"""`emo evaluate`: scores of a trained model on labelled clips, from cached features."""

from __future__ import annotations

from pathlib import Path

import click

from emo.cli.console import print_json, quieten_transformers
from emo.errors import ConfigError


@click.command()
@click.option("--model", required=True, type=click.Path(), help="Folder of a trained head or LLaMA stage.")
@click.option(
    "--manifest",
    default=".",
    show_default=True,
    type=click.Path(),
    help="Clips with labels, or their folder.",
)
@click.option(
    "--cache", type=click.Path(), default="features.zarr", show_default=True, help="The feature store."
)
@click.option("--split", default="test", show_default=True, help="Split to score; `all` takes every clip.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def evaluate(model: str, manifest: str, cache: str, split: str, seed: int, as_json: bool) -> None:
    """Score a trained model: weighted F1, UAR and WAR with n, invalid answers and an interval.

    The interval is a bootstrap over speakers. Answers that name no label count as wrong.

    \b
    emo evaluate --model runs/llm --manifest clips/manifest.jsonl
    emo evaluate --model runs/head --manifest clips/ --split val --json
    """
    from emo.cache import open_cache
    from emo.corpora.manifest import clips_in
    from emo.pipeline.predict import spaces_of
    from emo.pipeline.score import score_answers
    from emo.pipeline.systems import answer_all, load_system

    quieten_transformers()
    clips = [clip for clip in clips_in(Path(manifest))[0] if split in ("all", clip.split)]
    if not clips:
        raise ConfigError(f"{manifest}: no clips in split {split!r}. `--split all` takes every clip.")
    system = load_system(Path(model))
    answers = list(answer_all(system, clips, spaces_of(system, open_cache(cache)), reasons=False))
    scored = score_answers(clips, answers, system.labels, seed=seed)
    if as_json:
        print_json({"model": model, "split": split, **scored.to_json()})
        return
    scores = scored.scores
    click.echo(
        f"{model} on {split}: weighted F1 {scores.weighted_f1:.3f} "
        f"[{scored.interval.low:.3f}, {scored.interval.high:.3f}], "
        f"UAR {scores.uar:.3f}, WAR {scores.war:.3f}, n {scores.n}, invalid {scores.invalid_rate:.1%}"
    )
