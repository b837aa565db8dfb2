"""`emo train-head projector`: cached features, labels and captions in, features among words out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import Voice, print_json, quieten_transformers, voice
from emo.cli.labelled import refuse_unlabelled
from emo.cli.sections import Sectioned
from emo.cli.study_options import (
    base_option,
    cache_option,
    features_option,
    json_option,
    manifest_option,
    merr_option,
    out_option,
    recipe_option,
)
from emo.config.projector import ProjectorConfig
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.pipeline.projector import ProjectorRun

DEFAULTS = ProjectorConfig()


@click.command("train-head projector", cls=Sectioned)
@cache_option()
@manifest_option()
@merr_option()
@features_option()
@click.option("--labels", default="", help="mer2023, merr, dfew or LABEL,LABEL...  [default: what fits]")
@base_option()
@recipe_option("Of the LLaMA stage: says slots, arrays, z-scores.")
@click.option(
    "--projector",
    "projectors",
    multiple=True,
    metavar="SLOT=KIND",
    help="linear, mlp, merge4, class or attention; repeatable.",
)
@click.option("--fusion", is_flag=True, help="Also train the v2 pre-fusion of all features as a slot.")
@out_option("runs/projectors")
@click.option("--seed", type=int, default=DEFAULTS.seed, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=DEFAULTS.epochs, show_default=True, help="At most.")
@accept_option()
@json_option()
@click.pass_context
def train_projector(
    ctx: click.Context,
    cache: str,
    manifest: str,
    merr: str | None,
    features: str,
    labels: str,
    base: str,
    recipe: str,
    projectors: tuple[str, ...],
    fusion: bool,
    out: str,
    seed: int,
    epochs: int,
    accept: str | None,
    as_json: bool,
) -> None:
    """Align projectors of cached features with the frozen word embeddings of a LLaMA.

    The result scores any labels by their words (emo predict --labels), and is where emo train-llm may begin
    (--projectors). The LLaMA itself is not loaded. Quick, so a run that was stopped starts again.

    \b
    emo train-head projector --manifest clips/manifest.jsonl --base tiny-base
    emo train-head projector --base models/llama-2-7b-chat --projector eva_patches=attention
    """
    from emo.cache import open_cache
    from emo.cli.llm import TINY_BASE, merr_folder
    from emo.cli.train_head import label_set, spaces_named
    from emo.corpora import clips_in
    from emo.corpora.declared import declared_rights
    from emo.llm.base import NO_BASE
    from emo.llm.recipe import load_recipe
    from emo.pipeline.merr_texts import read_texts, with_known_labels
    from emo.pipeline.projector import train_projectors
    from emo.pipeline.projector_run import write_projector_run
    from emo.pipeline.seen import media_digests
    from emo.rights import united
    from emo.run_data import RunData, seen_clips, write_run_data

    if not base and Path(TINY_BASE).is_dir():
        base = TINY_BASE
    if not base:
        raise ConfigError(NO_BASE)
    quieten_transformers()
    speaker, settings = voice(ctx), load_recipe(recipe)
    config = replace(DEFAULTS, kinds=_kinds(projectors), fusion=fusion, seed=seed, epochs=epochs)
    clips, _ = clips_in(Path(manifest))
    texts = read_texts(merr_folder(manifest, merr), clips)
    clips = with_known_labels(clips, texts)
    refuse_unlabelled(manifest, clips)
    store = open_cache(Path(cache), accept_degraded=accept == DEGRADED)
    spaces = spaces_named(store, features)
    with speaker.meter("train-head projector") as meter:
        run = train_projectors(
            clips,
            texts,
            spaces,
            base,
            label_set(labels, clips),
            settings,
            config,
            on_epoch=lambda metrics: meter.update(
                metrics.epoch, epochs, f"validation loss {metrics.val_loss:.3f}"
            ),
        )
    seen = (*run.splits.train, *run.splits.val)
    data = united(declared_rights(Path(manifest), clips), store.data)
    write_projector_run(run, Path(out), dict(ctx.params), data)
    write_run_data(Path(out), RunData(data, seen_clips(seen, media_digests(spaces, seen))))
    _note(speaker, run)
    if as_json:
        print_json({"out": out, "base": base, "recipe": recipe, **run.to_json()})
    else:
        _show(run, out)


def _kinds(given: Sequence[str]) -> dict[str, str]:
    """SLOT=KIND by slot; ConfigError with every mistake."""
    from emo.config.llm import SLOTS
    from emo.heads.projectors import misfit

    kinds = {slot: kind for slot, _, kind in (item.partition("=") for item in given)}
    mistakes = [
        f"--projector {slot}={kind}: {why}."
        for slot, kind in kinds.items()
        if (why := misfit(slot, kind) if slot in SLOTS else f"no such slot; known are {', '.join(SLOTS)}")
    ]
    if mistakes:
        raise ConfigError(*mistakes)
    return kinds


def _note(speaker: Voice, run: ProjectorRun) -> None:
    splits, trained = run.splits, run.trained
    held_out = " (held-out speakers)" if splits.held_out else ""
    speaker.note(
        f"{len(splits.train)} train, {len(splits.val)} val{held_out}, {len(splits.test)} test clips, "
        f"{run.captions} training clips with a caption; epoch {trained.best_epoch} of "
        f"{len(trained.history)} kept"
    )
    if run.unasked:
        speaker.note(
            f"{run.unasked} {run.scored_split} clips have a label outside the label set: not scored."
        )
    if run.scored_split == "val":
        speaker.note("no test split: the score is that of the validation clips that chose the epoch.")


def _show(run: ProjectorRun, out: str) -> None:
    scores = run.result.scores
    click.echo(
        f"{run.scored_split}: weighted F1 {run.result.interval}, UAR {scores.uar:.3f}, n {scores.n}; "
        f"majority class {run.majority.weighted_f1:.3f}"
    )
    click.echo(f"{out}: projectors for {', '.join(run.trained.slots)}")
    click.echo(
        f"Next: emo predict CLIP --model {out} --labels LABEL,LABEL, or emo train-llm --projectors {out}"
    )
