"""`emo train-llm`: cached features, labels and MERR texts in, a trained LLaMA stage out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import Voice, print_json, quieten_transformers, voice
from emo.cli.device_option import refuse_absent
from emo.cli.hardware_options import hardware_options
from emo.cli.labelled import refuse_unlabelled
from emo.cli.leak_option import checked_run_data, leak_option
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

if TYPE_CHECKING:
    from emo.config.hardware import HardwareConfig


@click.command("train-llm", cls=Sectioned)
@click.option("--stage", default="both", show_default=True, help="coarse, fine, both, or a recipe's own.")
@cache_option()
@manifest_option("Clips with labels, speakers and splits.")
@merr_option()
@click.option(
    "--list",
    "lists",
    multiple=True,
    metavar="NAME=FILE",
    help="A set of clips that the recipe names, with labels where it has some; may be repeated.",
)
@features_option("NAME[,NAME...], or none for the words alone.")
@accept_option()
@click.option(
    "--augment", is_flag=True, help="Train on the augmented views in the cache too; never chosen on them."
)
@base_option()
@click.option("--init-from", type=click.Path(), help="Checkpoint to start from.  [default: the stage before]")
@click.option("--projectors", type=click.Path(), help="Folder of `emo train-head projector` to begin with.")
@click.option("--force", is_flag=True, help="Begin with weights of another LLaMA or other features.")
@recipe_option()
@out_option("runs/llm")
@click.option("--seed", type=int, default=0, show_default=True)
@hardware_options
@leak_option()
@click.option("--dry-run", is_flag=True, help="Say what it would take: parameters, memory, steps, time.")
@click.option("--fresh", is_flag=True, help="Start over where --out holds a run; else it goes on.")
@click.option("--save-every", type=click.IntRange(min=1), default=200, show_default=True, help="Steps.")
@click.option(
    "--track",
    default="",
    help="tensorboard, trackio, wandb: NAME[,NAME...], beside metrics.jsonl.",
)
@json_option()
@click.pass_context
def train_llm(
    ctx: click.Context,
    stage: str,
    cache: str,
    manifest: str,
    merr: str | None,
    lists: tuple[str, ...],
    features: str,
    accept: str | None,
    augment: bool,
    base: str,
    init_from: str | None,
    projectors: str | None,
    force: bool,
    recipe: str,
    out: str,
    seed: int,
    hardware: HardwareConfig,
    allow_leak: str,
    dry_run: bool,
    fresh: bool,
    save_every: int,
    track: str,
    as_json: bool,
) -> None:
    """Train projectors and LoRA of the LLaMA stage on cached features; no encoder is loaded.

    The weights kept are those that are best on validation speakers; test clips are left alone. Interrupted by
    a signal it saves where it is and leaves with 75; run again it goes on, bit for bit (docs/runs.md).

    \b
    emo train-llm --manifest clips/manifest.jsonl --base tiny-base
    emo train-llm --projectors runs/projectors --base tiny-base
    emo train-llm --recipe emotion-llama-readme --base models/llama-2-7b-chat
    emo train-llm --recipe mer2023-semi --list pseudo=pseudo_labels.txt --base models/llama-2-7b-chat
    """
    from emo.llm.training.launch import is_first_rank, is_rank, run_as_ranks

    if not dry_run:
        refuse_absent(hardware.device, cards=hardware.gpus)
    if hardware.gpus > 1 and not is_rank() and not dry_run:
        ctx.exit(run_as_ranks(sys.argv[1:], hardware.gpus))
    if not is_first_rank():
        ctx.obj = Voice(quiet=True)

    from emo.cache import open_cache
    from emo.cli.llm import TINY_BASE, merr_folder
    from emo.cli.train_head import augmented_spaces, spaces_named
    from emo.cli.train_progress import first_steps, follow
    from emo.corpora import clips_in
    from emo.errors import ConfigError
    from emo.heads.aligned import AlignedProjectors
    from emo.llm.base import NO_BASE
    from emo.llm.card import read_card
    from emo.llm.recipe import config_to_json, load_recipe
    from emo.llm.run_card import run_card
    from emo.llm.training.forecast import forecast
    from emo.llm.training.runs import Manner, chosen_stages, run_llm, stage_before
    from emo.llm.training.stopping import stop_signals
    from emo.llm.training.trackers import tracked
    from emo.llm.warm_start import recipe_with
    from emo.model_card import CARD
    from emo.pipeline.clip_lists import named_lists, refuse_missing_lists
    from emo.pipeline.merr_texts import read_texts, with_known_labels
    from emo.run_data import write_run_data

    if not base and Path(TINY_BASE).is_dir():
        base = TINY_BASE
        voice(ctx).note(f"base: {TINY_BASE}, the small LLaMA of `emo llm tiny-base`")
    if not base:
        raise ConfigError(NO_BASE)
    quieten_transformers()
    whole = load_recipe(recipe)
    if projectors:
        whole = recipe_with(whole, AlignedProjectors.load(Path(projectors)), Path(projectors))
    config = chosen_stages(whole, stage)
    start = _start(init_from, stage_before(whole, stage), Path(out))
    named = named_lists(lists)
    refuse_missing_lists(config.stages, named)
    clips, _ = clips_in(Path(manifest))
    texts = read_texts(merr_folder(manifest, merr), clips, named)
    clips = with_known_labels(clips, texts)
    refuse_unlabelled(manifest, clips)
    if augment and features == "none":
        raise ConfigError("--augment draws from views of features, and --features none names none.")
    store = None if features == "none" else open_cache(Path(cache), accept_degraded=accept == DEGRADED)
    spaces = spaces_named(store, features) if store else {}
    augmented = augmented_spaces(store, spaces) if store and augment else {}
    data = checked_run_data(voice(ctx), manifest, clips, spaces, store, allowed=allow_leak, start=start)
    if dry_run:
        expected = forecast(clips, texts, spaces, base, config, seed=seed, hardware=hardware)
        return print_json(expected.as_json()) if as_json else click.echo("\n".join(expected.lines()))
    speaker = voice(ctx)
    drawn = {name: [space.spec.preset for space in more] for name, more in augmented.items()}
    for name, views in drawn.items():
        speaker.note(f"{name}: training also draws from {', '.join(views)}")
    with stop_signals(lambda name: speaker.note(f"{name}: saving; Ctrl-C now ends at once")) as stop:
        manner = Manner(fresh=fresh, save_every=save_every, stop=stop, options=dict(ctx.params))
        events = run_llm(
            clips,
            texts,
            spaces,
            base,
            config,
            Path(out),
            seed=seed,
            start=start,
            force=force,
            projectors=Path(projectors) if projectors else None,
            hardware=hardware,
            manner=manner,
            augmented=augmented,
        )
        trackers = [name for name in track.split(",") if name and is_first_rank()]
        seen = tracked(events, trackers, Path(out), config_to_json(config), first_steps(whole))
        summary = follow(speaker, seen, config, Path(out))
    if not is_first_rank():
        return None
    write_run_data(Path(out), data)
    (Path(out) / CARD).write_text(run_card(read_card(Path(out)), data.data), encoding="utf-8")
    if as_json:
        print_json({"out": out, "base": base, "recipe": recipe, "seed": seed, "augmented": drawn, **summary})
    else:
        click.echo(f"{out}: trained; each stage in {', '.join(f'{out}/{name}' for name in config.stages)}")
        click.echo(f"numbers in {out}/metrics.jsonl, settings in recipe.json, versions in run.json")
        click.echo(f"Next: emo predict CLIP --model {out}")
    return None


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
