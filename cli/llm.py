"""`emo llm`: tools around the LLaMA stage. `tiny-base` makes a small LLaMA for machines without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.console import print_json, quieten_transformers, voice
from emo.cli.labelled import refuse_unlabelled
from emo.cli.model_options import loaded, model_options
from emo.cli.sections import Sectioned
from emo.cli.study_options import json_option
from emo.config.llm import TinyBaseConfig

if TYPE_CHECKING:
    from emo.llm.examples import ClipTexts

DEFAULTS = TinyBaseConfig()
TINY_BASE = "tiny-base"


@click.group()
def llm() -> None:
    """Tools around the LLaMA stage.

    \b
    emo llm tiny-base --manifest clips/manifest.jsonl --out tiny-base
    emo llm tiny-base --manifest clips/manifest.jsonl --steps 20 --json
    """


@llm.command("tiny-base")
@click.option(
    "--manifest", type=click.Path(), default=".", show_default=True, help="Clips with labels and splits."
)
@click.option("--merr", type=click.Path(), help="Folder of MERR JSON.  [default: the manifest's folder]")
@click.option("--labels", default="mer2023", show_default=True, help="mer2023, merr, dfew or LABEL,LABEL...")
@click.option("--out", type=click.Path(file_okay=False), default=TINY_BASE, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=DEFAULTS.steps, show_default=True)
@click.option("--seed", type=int, default=DEFAULTS.seed, show_default=True)
@json_option()
@click.pass_context
def tiny_base(
    ctx: click.Context,
    manifest: str,
    merr: str | None,
    labels: str,
    out: str,
    steps: int,
    seed: int,
    as_json: bool,
) -> None:
    """Make a small LLaMA from the texts of the training clips: a check of the road, no language model.

    It reads how clips are described, with words in the places of features; test clips stay unread.

    \b
    emo llm tiny-base --manifest clips/manifest.jsonl --out tiny-base
    emo llm tiny-base --manifest clips/manifest.jsonl --labels merr --seed 1
    """
    from emo.labels import LABEL_SETS
    from emo.llm.tiny.base import make_tiny_base

    quieten_transformers()
    warmup = min(DEFAULTS.warmup_steps, steps)
    config = replace(DEFAULTS, steps=steps, warmup_steps=warmup, seed=seed)
    names = LABEL_SETS.get(labels) or tuple(label.strip() for label in labels.split(",") if label.strip())
    texts = _training_texts(Path(manifest), merr_folder(manifest, merr), seed)
    loss: float | None = None
    with voice(ctx).meter("tiny-base") as meter:
        for progress in make_tiny_base(texts, names, Path(out), config):
            loss = progress.loss
            note = progress.phase if loss is None else f"{progress.phase}, loss {loss:.2f}"
            meter.update(progress.done, progress.total, note)
    if as_json:
        print_json({"out": out, "clips": len(texts), "steps": steps, "seed": seed, "loss": loss})
    else:
        click.echo(f"{out}: a tiny LLaMA that has read {len(texts)} training clips.")
        click.echo(f"Next: emo train-llm --manifest {manifest} --base {out}")


def _training_texts(manifest: Path, merr: Path, seed: int) -> list[ClipTexts]:
    """Texts of the training clips, as `emo train-llm` splits them."""
    from emo.corpora import clips_in
    from emo.heads.splits import split_clips
    from emo.llm.recipe import load_recipe
    from emo.pipeline.merr_texts import read_texts

    share = load_recipe("tiny").val_share
    clips, _ = clips_in(manifest)
    refuse_unlabelled(str(manifest), clips)
    splits = split_clips(clips, val_share=share, seed=seed)
    return read_texts(merr, splits.train)


def merr_folder(manifest: str, merr: str | None) -> Path:
    """Where the MERR JSON is: as given, else beside the manifest."""
    from emo.corpora.merr_files import COARSE, FINE
    from emo.errors import ConfigError

    if merr:
        folder = Path(merr)
        if not any((folder / name).is_file() for name in (COARSE, FINE)):
            raise ConfigError(f"{folder}: holds neither {COARSE} nor {FINE}. Give --merr the folder of them.")
        return folder
    place = Path(manifest)
    return place if place.is_dir() else place.parent


@llm.command("export-prompts", cls=Sectioned)
@click.argument("clips", nargs=-1, required=True, type=click.Path())
@model_options
@click.option(
    "--task",
    type=click.Choice(["emotion", "reason"]),
    default="emotion",
    show_default=True,
    help="Which question.",
)
@click.option("--out", type=click.Path(dir_okay=False), default="prompts.safetensors", show_default=True)
@json_option()
def export_prompts(
    clips: tuple[str, ...],
    model: str,
    cache: str,
    force: bool,
    loading: dict[str, Any],
    task: str,
    out: str,
    as_json: bool,
) -> None:
    """Write the prompts of CLIPS as embeddings, for a serving engine; see docs/serving.md.

    Features come from the cache; MODEL is a LLaMA stage, merged or not.

    \b
    emo llm export-prompts clips/ --model runs/merged --out prompts.safetensors
    emo llm export-prompts clips/ --model runs/merged --task reason --dtype bfloat16
    """
    from emo.cache import open_cache
    from emo.errors import ConfigError
    from emo.llm.serving import prompt_vectors, write_prompts
    from emo.pipeline.predict import clips_named, spaces_of
    from emo.pipeline.systems import LlamaSystem, batches

    quieten_transformers()
    system = loaded(model, loading, force=force)
    if not isinstance(system, LlamaSystem):
        raise ConfigError(f"{model} is a head: only a LLaMA stage is asked in words.")
    spaces = spaces_of(system, open_cache(cache), force=force)
    vectors = (
        (clip.clip_id, vector)
        for part, batch in batches(system, clips_named(clips), spaces)
        for clip, vector in zip(
            part, prompt_vectors(system.model, system.questions(part, task), batch), strict=True
        )
    )
    count = write_prompts(vectors, Path(out))
    if as_json:
        print_json({"out": out, "prompts": count, "task": task})
    else:
        click.echo(f"{out}: {count} prompts")
