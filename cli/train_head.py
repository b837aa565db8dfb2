"""`emo train-head`: cached features and labels in, a trained head with its scores out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import voice
from emo.cli.leak_option import checked_run_data, leak_option
from emo.cli.model_options import look_here
from emo.cli.sections import Sectioned
from emo.cli.study_options import cache_option, features_option, json_option, manifest_option, out_option
from emo.cli.train_head_work import HeadWork
from emo.config.heads import HeadConfig
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.cache import FeatureCache, Space
    from emo.clip import Clip
    from emo.heads.grid import Cell
    from emo.heads.ratings import Ratings

DEFAULTS = HeadConfig()


@click.command("train-head", cls=Sectioned)
@cache_option()
@manifest_option()
@features_option()
@click.option("--head", default=DEFAULTS.head, show_default=True, help="See docs/heads.md, or module:Class.")
@click.option("--labels", default="", help="mer2023, merr, dfew or LABEL,LABEL...  [default: what fits]")
@click.option(
    "--array",
    "arrays",
    multiple=True,
    metavar="NAME=ARRAY",
    help="Such as hubert=frames:mean+std; repeatable.",
)
@out_option("runs/head")
@click.option("--seed", type=int, default=DEFAULTS.seed, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=DEFAULTS.epochs, show_default=True, help="At most.")
@accept_option()
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Such as lr=1e-3 or width=64; repeatable."
)
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="NAME=VALUE,VALUE",
    help="Train every combination, choose on validation clips; repeatable.",
)
@click.option("--folds", type=int, default=0, help="Cross-validate by speaker instead, in so many folds.")
@click.option("--valence", is_flag=True, help="Learn the manifest's valence as a second output.")
@click.option("--soft-labels", is_flag=True, help="Learn the shares of the manifest's votes, not the label.")
@click.option("--vat", type=float, default=0.0, help="Weight of virtual adversarial training.")
@click.option(
    "--augment", is_flag=True, help="Train on the augmented views in the cache too; never scored on them."
)
@leak_option()
@click.option("--controls", is_flag=True, help="Also train on each feature alone and on shuffled features.")
@click.option("--dry-run", is_flag=True, help="Say what would be trained on what, and train nothing.")
@json_option()
@click.pass_context
def train_head(
    ctx: click.Context,
    cache: str,
    manifest: str,
    features: str,
    head: str,
    labels: str,
    arrays: tuple[str, ...],
    out: str,
    seed: int,
    epochs: int,
    accept: str | None,
    settings: tuple[str, ...],
    sweeps: tuple[str, ...],
    folds: int,
    valence: bool,
    soft_labels: bool,
    vat: float,
    augment: bool,
    allow_leak: str,
    controls: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train a classifier head on cached features; the epoch is chosen on validation clips, never on test.

    A sweep goes on where it was: run again, it trains only the cells that are not finished.

    \b
    emo train-head --manifest manifest.jsonl --features hubert,mae --out runs/head
    emo train-head --manifest manifest.csv --head lmf --set lr=1e-4 --controls --json
    emo train-head --sweep head=attention,lmf,misa --sweep lr=1e-4,1e-3 --out runs/sweep
    emo train-head --folds 5 --head mypackage.mymodule:MyHead
    """
    from emo.cache import open_cache
    from emo.corpora import clips_in
    from emo.run_data import write_run_data

    if folds and (sweeps or controls):
        raise ConfigError("--folds goes with neither --sweep nor --controls. Leave one out.")
    if sweeps and controls:
        raise ConfigError("--controls are of one head. Train the chosen cell again with --controls.")
    base = replace(
        DEFAULTS,
        head=head,
        seed=seed,
        epochs=epochs,
        arrays=_arrays(arrays),
        valence=float(valence),
        soft_labels=soft_labels,
        vat=vat,
    )
    cells = _cells(base, settings, sweeps)
    clips, _ = clips_in(Path(manifest))
    store = open_cache(Path(cache), accept_degraded=accept == DEGRADED)
    spaces = spaces_named(store, features)
    speaker = voice(ctx)
    work = HeadWork(
        speaker=speaker,
        cells=cells,
        clips=clips,
        spaces=spaces,
        labels=label_set(labels, clips),
        ratings=_ratings(Path(manifest), clips, [cell.config for cell in cells]),
        augmented=augmented_spaces(store, spaces) if augment else {},
        data=checked_run_data(
            speaker, manifest, clips, spaces, store, allowed=allow_leak, folds=_sides(clips, folds, base)
        ),
        out=out,
        as_json=as_json,
    )
    if dry_run:
        work.say_what_it_takes(folds)
        return
    if folds:
        work.fold(folds)
    elif sweeps:
        work.sweep()
    else:
        work.train(controls=controls)
    write_run_data(Path(out), work.data)


def _sides(clips: Sequence[Clip], folds: int, config: HeadConfig) -> list[tuple[list[Clip], list[Clip]]]:
    """What each fold is trained and tested on; nothing where there are no folds."""
    from emo.heads.folds import split_folds

    if not folds:
        return []
    return [([*one.train, *one.val], list(one.test)) for one in split_folds(clips, folds, config)]


def _cells(base: HeadConfig, settings: Sequence[str], sweeps: Sequence[str]) -> list[Cell]:
    """The heads to train: one, or those of the sweep. A head of the user's own may lie in this folder."""
    from emo.heads.grid import grid

    if ":" in base.head or any(":" in sweep for sweep in sweeps):
        look_here()
    if mistakes := base.mistakes():
        raise ConfigError(*mistakes)
    if several := [setting for setting in settings if "," in setting]:
        raise ConfigError(*(f"--set {one}: gives one value. Give several with --sweep." for one in several))
    # together, as a setting may be an option of heads that only the sweep names
    return grid([*settings, *sweeps], base, option="--sweep" if sweeps else "--set")


def _ratings(manifest: Path, clips: Sequence[Clip], configs: Sequence[HeadConfig]) -> Ratings:
    """Valence and votes of the manifest, read only where a head is to learn them."""
    from emo.corpora.ratings import read_ratings
    from emo.heads.ratings import NO_RATINGS, Ratings

    if not any(config.valence > 0 or config.soft_labels for config in configs):
        return NO_RATINGS
    valence, votes = read_ratings(manifest, clips)
    return Ratings(valence=valence, votes=votes)


def spaces_named(cache: FeatureCache, names: str) -> dict[str, Space]:
    """The spaces of "hubert,eva@tiny,...", by encoder name, or as written where two share an encoder."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise ConfigError("no features named. Give --features hubert,mae or the like.")
    spaces = {name: cache.space(name) for name in wanted}
    encoders = [space.spec.encoder for space in spaces.values()]
    return {
        space.spec.encoder if encoders.count(space.spec.encoder) == 1 else name: space
        for name, space in spaces.items()
    }


def augmented_spaces(cache: FeatureCache, spaces: Mapping[str, Space]) -> dict[str, list[Space]]:
    """The augmented spaces of each feature; ConfigError where there is none at all."""
    found = {name: more for name, space in spaces.items() if (more := cache.augmented(space))}
    if not found:
        raise ConfigError(
            f"{cache.path} has no augmented views of {', '.join(spaces)}. "
            "Run: emo extract --views noise@10dB,flip"
        )
    return found


def label_set(name: str, clips: Sequence[Clip]) -> tuple[str, ...]:
    """The label set called `name`, or the labels it lists; with no name the first set that fits the clips."""
    from emo.labels import LABEL_SETS

    if name in LABEL_SETS:
        return LABEL_SETS[name]
    if name:
        return tuple(label.strip() for label in name.split(",") if label.strip())
    found = {clip.label for clip in clips if clip.label}
    fitting = [labels for labels in LABEL_SETS.values() if found <= set(labels)]
    return fitting[0] if fitting else tuple(sorted(found))


def _arrays(given: Sequence[str]) -> dict[str, str]:
    if wrong := [item for item in given if "=" not in item]:
        raise ConfigError(
            *(f"--array {item}: not NAME=ARRAY, such as hubert=frames:mean+std." for item in wrong)
        )
    return dict(item.split("=", 1) for item in given)
