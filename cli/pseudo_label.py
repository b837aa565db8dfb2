"""`emo pseudo-label`: labels for clips that have none, on which a head and a LLaMA stage agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import print_json, quieten_transformers, voice
from emo.cli.device_option import device_option, dtype_option, refuse_absent
from emo.cli.labelled import refuse_unlabelled
from emo.cli.llm import TINY_BASE, merr_folder
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
from emo.config.heads import HeadConfig
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.pipeline.pseudo_loop import Round

DEFAULTS = HeadConfig()
PRECISION, LEAST = 0.8, 5


@click.command("pseudo-label", cls=Sectioned)
@cache_option()
@manifest_option("Clips, some with labels, or their folder.")
@click.option("--pool", type=click.Path(), help="List of training clips whose labels are hidden as well.")
@features_option()
@accept_option()
@click.option("--head", default=DEFAULTS.head, show_default=True, help="Which head.")
@click.option("--epochs", type=click.IntRange(1), default=DEFAULTS.epochs, show_default=True, help="At most.")
@base_option()
@recipe_option()
@merr_option()
@click.option("--rounds", type=click.IntRange(1), default=2, show_default=True)
@click.option(
    "--precision",
    type=click.FloatRange(0, 1),
    default=PRECISION,
    show_default=True,
    help="Share of validation clips that must be right above a threshold.",
)
@click.option(
    "--least-clips",
    type=click.IntRange(1),
    default=LEAST,
    show_default=True,
    help="Validation clips that a threshold must rest on.",
)
@device_option()
@dtype_option()
@click.option("--seed", type=int, default=0, show_default=True)
@out_option("runs/pseudo")
@click.option("--dry-run", is_flag=True, help="Say who would be learnt from and labelled; train nothing.")
@json_option()
@click.pass_context
def pseudo_label(
    ctx: click.Context,
    cache: str,
    manifest: str,
    pool: str | None,
    features: str,
    accept: str | None,
    head: str,
    epochs: int,
    base: str,
    recipe: str,
    merr: str | None,
    rounds: int,
    precision: float,
    least_clips: int,
    device: str,
    dtype: Any,
    seed: int,
    out: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Label training clips that have no label, in rounds: a head labels what it is sure of, the LLaMA stage
    learns from that and labels again; what both are sure of and agree on is kept. Test clips are left alone.

    \b
    emo pseudo-label --manifest clips --base tiny-base --out runs/pseudo
    emo pseudo-label --manifest clips --base tiny-base --dry-run
    emo train-llm --recipe mer2023-semi --list pseudo=runs/pseudo/pseudo.txt --base LLAMA
    """
    from emo.cache import open_cache
    from emo.cli.train_head import spaces_named
    from emo.config.hardware import HardwareConfig
    from emo.corpora import clips_in
    from emo.llm.base import NO_BASE
    from emo.llm.recipe import load_recipe
    from emo.llm.training.stopping import stop_signals
    from emo.pipeline.clip_lists import read_list, refuse_missing_lists
    from emo.pipeline.merr_texts import read_texts
    from emo.pipeline.pseudo_loop import LIST, NAME, LoopConfig, run_loop
    from emo.pipeline.pseudo_pool import pool_of, refuse_few

    refuse_absent(device)
    speaker = voice(ctx)
    if not base and Path(TINY_BASE).is_dir():
        base = TINY_BASE
        speaker.note(f"base: {TINY_BASE}, the small LLaMA of `emo llm tiny-base`")
    if not base:
        raise ConfigError(NO_BASE)
    quieten_transformers()
    plan = load_recipe(recipe)
    refuse_missing_lists(plan.stages, {NAME: Path(out) / LIST})
    clips, _ = clips_in(Path(manifest))
    refuse_unlabelled(manifest, clips)
    found = pool_of(clips, read_list(Path(pool)) if pool else (), val_share=DEFAULTS.val_share, seed=seed)
    refuse_few(found, least_clips)
    spaces = spaces_named(open_cache(Path(cache), accept_degraded=accept == DEGRADED), features)
    config = LoopConfig(rounds=rounds, precision=precision, least_clips=least_clips, seed=seed)
    roles = (
        f"{len(found.train)} labelled training clips, {len(found.val)} of validation, "
        f"{len(found.unlabelled)} to label; {len(found.drops)} left out: their speakers are held out"
    )
    if dry_run and as_json:
        counts = {"train": len(found.train), "val": len(found.val), "pool": len(found.unlabelled)}
        print_json({**counts, "left_out": len(found.drops)})
    elif dry_run:
        click.echo(roles)
    else:
        speaker.note(roles)
    if dry_run:
        return
    told = []
    with (
        stop_signals(lambda name: speaker.note(f"{name}: saving; Ctrl-C now ends at once")) as stop,
        speaker.steps() as steps,
    ):
        for one in run_loop(
            found,
            spaces,
            read_texts(merr_folder(manifest, merr), clips),
            base,
            HeadConfig(head=head, epochs=epochs),
            plan,
            Path(out),
            config,
            hardware=HardwareConfig(device=device, dtype=dtype),
            stop=stop,
            on_event=steps.show,
        ):
            told.append(one.to_json())
            if not as_json:
                steps.close()
                click.echo(_line(one))
    if as_json:
        print_json({"out": out, "pool": len(found.unlabelled), "rounds": told})
    else:
        click.echo(f"{Path(out) / LIST}: {told[-1]['agreed']} labels; what was left out is in drops.jsonl")


def _line(one: Round) -> str:
    right = [f"{name} {share:.1%} right" for name, share in one.right.items() if share is not None]
    hidden = f" (against the hidden labels: {', '.join(right)})" if right else ""
    thresholds = ", ".join(
        f"{name} {'none' if found.confidence is None else f'{found.confidence:.3f}'}"
        for name, found in (("head", one.head), *(("llm", each) for each in one.llm))
    )
    return (
        f"round {one.number}: the head is sure of {len(one.by_head)} clips, both agree on {len(one.agreed)}; "
        f"thresholds: {thresholds}{hidden}"
    )
