"""`emo train-llm`: cached features, labels and MERR texts in, a trained LLaMA stage out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.console import Voice, print_json, quieten_transformers, voice
from emo.cli.hardware_options import hardware_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emo.config.hardware import HardwareConfig
    from emo.config.llm import LlmConfig
    from emo.llm.training.events import StageEvent, Validated
    from emo.llm.training.runs import RunStarted


@click.command("train-llm")
@click.option("--stage", default="both", show_default=True, help="coarse, fine, both, or a recipe's own.")
@click.option(
    "--cache", type=click.Path(), default="features.zarr", show_default=True, help="The feature store."
)
@click.option(
    "--manifest",
    type=click.Path(),
    default=".",
    show_default=True,
    help="Clips with labels, speakers and splits.",
)
@click.option("--merr", type=click.Path(), help="Folder of MERR JSON.  [default: the manifest's folder]")
@click.option(
    "--list",
    "lists",
    multiple=True,
    metavar="NAME=FILE",
    help="A set of clips that the recipe names, with labels where it has some; may be repeated.",
)
@click.option(
    "--features",
    default="hubert,mae,videomae,eva",
    show_default=True,
    help="NAME[,NAME...], or none for the words alone.",
)
@click.option("--base", default="", help="LLaMA-family directory or hub id; emo llm tiny-base makes one.")
@click.option("--init-from", type=click.Path(), help="Checkpoint to start from.  [default: the stage before]")
@click.option("--recipe", default="tiny", show_default=True, help="A recipe's name or a YAML file.")
@click.option("--out", type=click.Path(file_okay=False), default="runs/llm", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@hardware_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def train_llm(
    ctx: click.Context,
    stage: str,
    cache: str,
    manifest: str,
    merr: str | None,
    lists: tuple[str, ...],
    features: str,
    base: str,
    init_from: str | None,
    recipe: str,
    out: str,
    seed: int,
    hardware: HardwareConfig,
    as_json: bool,
) -> None:
    """Train projectors and LoRA of the LLaMA stage on cached features; no encoder is loaded.

    The weights kept are those that are best on validation speakers; test clips are left alone.

    \b
    emo train-llm --manifest clips/manifest.jsonl --base tiny-base
    emo train-llm --recipe emotion-llama-readme --base models/llama-2-7b-chat
    emo train-llm --recipe mer2023-semi --list pseudo=pseudo_labels.txt --base models/llama-2-7b-chat
    """
    from emo.cache import open_cache
    from emo.cli.llm import TINY_BASE, merr_folder
    from emo.cli.train_head import spaces_named
    from emo.corpora import clips_in
    from emo.errors import ConfigError
    from emo.llm.base import NO_BASE
    from emo.llm.recipe import load_recipe
    from emo.llm.training.runs import chosen_stages, run_llm, stage_before
    from emo.pipeline.clip_lists import named_lists
    from emo.pipeline.merr_texts import read_texts, with_known_labels

    if not base and Path(TINY_BASE).is_dir():
        base = TINY_BASE
        voice(ctx).note(f"base: {TINY_BASE}, the small LLaMA of `emo llm tiny-base`")
    if not base:
        raise ConfigError(NO_BASE)
    quieten_transformers()
    whole = load_recipe(recipe)
    config = chosen_stages(whole, stage)
    start = _start(init_from, stage_before(whole, stage), Path(out))
    clips, _ = clips_in(Path(manifest))
    texts = read_texts(merr_folder(manifest, merr), clips, named_lists(lists))
    clips = with_known_labels(clips, texts)
    spaces = {} if features == "none" else spaces_named(open_cache(Path(cache)), features)
    events = run_llm(clips, texts, spaces, base, config, Path(out), seed=seed, start=start, hardware=hardware)
    summary = _follow(voice(ctx), events, config)
    if as_json:
        print_json({"out": out, "base": base, "recipe": recipe, "seed": seed, **summary})
    else:
        click.echo(f"{out}: trained. Next: emo predict CLIP --model {out}")


def _start(init_from: str | None, before: str | None, out: Path) -> Path | None:
    """The checkpoint a run goes on from: as given, else that of the stage before, where there is one."""
    from emo.errors import ConfigError

    if init_from:
        return Path(init_from)
    if before is None:
        return None
    if not (out / before).is_dir():
        raise ConfigError(
            f"{out / before} is not there to go on from. Train it first: emo train-llm --stage {before}, or "
            "name a checkpoint with --init-from."
        )
    return out / before


def _follow(
    speaker: Voice, events: Iterator[RunStarted | StageEvent], config: LlmConfig
) -> dict[str, object]:
    """Draw the events of a run and gather what is worth telling at the end."""
    from emo.llm.training.events import StageDone, StepDone, Validated
    from emo.llm.training.runs import RunStarted

    total = sum(stage.steps for stage in config.stages.values())
    before = 0
    summary: dict[str, object] = {}
    stages: dict[str, object] = {}
    with speaker.meter("train-llm") as meter:
        for event in events:
            match event:
                case RunStarted(counts, fresh):
                    speaker.note(counts.sentence())
                    if fresh:
                        speaker.note(f"not in --init-from, started fresh: {', '.join(fresh)}")
                    summary["trainable"] = {"lora": counts.lora, "projectors": counts.projectors}
                case StepDone():
                    meter.update(before + event.step, total, f"{event.stage}, loss {event.loss:.3f}")
                case Validated():
                    speaker.note(_validation_line(event))
                case StageDone():
                    before += event.steps
                    stages[event.stage] = {
                        "kept_step": event.kept_step,
                        "validation_weighted_f1": event.weighted_f1,
                    }
    return {**summary, "stages": stages}


def _validation_line(event: Validated) -> str:
    score = "" if event.weighted_f1 is None else f", weighted F1 {event.weighted_f1:.3f}"
    kept = ", best so far" if event.best else ""
    return f"{event.stage} step {event.step}: validation loss {event.loss:.3f}{score}{kept}"
