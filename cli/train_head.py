"""`emo train-head`: cached features and labels in, a trained head with its scores out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import Voice, print_json, voice
from emo.cli.leak_option import checked_run_data, leak_option
from emo.config.heads import HeadConfig
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.cache import FeatureCache, Space
    from emo.clip import Clip
    from emo.heads.runs import HeadRun

DEFAULTS = HeadConfig()


@click.command("train-head")
@click.option(
    "--cache", type=click.Path(), default="features.zarr", show_default=True, help="The feature store."
)
@click.option(
    "--manifest",
    type=click.Path(),
    default=".",
    show_default=True,
    help="Clips with labels, or their folder.",
)
@click.option("--features", default="hubert,mae,videomae,eva", show_default=True, help="NAME[,NAME...]")
@click.option(
    "--head", default=DEFAULTS.head, show_default=True, help="concat, attention or module:Class of your own."
)
@click.option("--labels", default="", help="mer2023, merr, dfew or LABEL,LABEL...  [default: what fits]")
@click.option(
    "--array",
    "arrays",
    multiple=True,
    metavar="NAME=ARRAY",
    help="Such as hubert=frames:mean+std; repeatable.",
)
@click.option(
    "--out", type=click.Path(file_okay=False), default="runs/head", show_default=True, help="Folder."
)
@click.option("--seed", type=int, default=DEFAULTS.seed, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=DEFAULTS.epochs, show_default=True, help="At most.")
@accept_option()
@click.option(
    "--augment", is_flag=True, help="Train on the augmented views in the cache too; never scored on them."
)
@leak_option()
@click.option("--controls", is_flag=True, help="Also train on each feature alone and on shuffled features.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
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
    augment: bool,
    allow_leak: str,
    controls: bool,
    as_json: bool,
) -> None:
    """Train a classifier head on cached features; the epoch is chosen on validation clips, never on test.

    \b
    emo train-head --manifest manifest.jsonl --features hubert,mae --out runs/head
    emo train-head --manifest manifest.csv --head concat --controls --json
    """
    from emo.cache import open_cache
    from emo.corpora import clips_in
    from emo.heads.runs import run_head, write_run
    from emo.run_data import write_run_data

    speaker = voice(ctx)
    config = replace(
        DEFAULTS, head=head, seed=seed, epochs=epochs, arrays={**DEFAULTS.arrays, **_arrays(arrays)}
    )
    clips, _ = clips_in(Path(manifest))
    store = open_cache(Path(cache), accept_degraded=accept == DEGRADED)
    spaces = spaces_named(store, features)
    data = checked_run_data(speaker, manifest, clips, spaces, store, allowed=allow_leak)
    with speaker.meter("train-head") as meter:
        run = run_head(
            clips,
            spaces,
            label_set(labels, clips),
            config,
            augmented=_augmented(store, spaces) if augment else {},
            controls=controls,
            on_epoch=lambda metrics: meter.update(
                metrics.epoch, epochs, f"validation F1 {metrics.val_weighted_f1:.3f}"
            ),
        )
    write_run(run, Path(out))
    write_run_data(Path(out), data)
    _note(speaker, run, out)
    if as_json:
        print_json({"out": out, **run.to_json()})
    else:
        _show(run)


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


def _augmented(cache: FeatureCache, spaces: Mapping[str, Space]) -> dict[str, list[Space]]:
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


def _note(speaker: Voice, run: HeadRun, out: str) -> None:
    splits, trained = run.splits, run.trained
    held_out = " (held-out speakers)" if splits.held_out else ""
    speaker.note(
        f"{len(splits.train)} train, {len(splits.val)} val{held_out}, {len(splits.test)} test clips; "
        f"epoch {trained.best_epoch} of {len(trained.history)} kept; written to {out}"
    )
    if shared := splits.shared_speakers:
        speaker.note(f"{len(shared)} speakers are in both train and test: this is no score of new people.")
    for name, views in run.augmented.items():
        speaker.note(f"{name}: training also drew from {', '.join(views)}")
    if run.featureless:
        speaker.note(f"{run.featureless} clips have none of the features; they are answered with the prior.")
    if run.scored_split == "val":
        speaker.note("no test split: the score is that of the validation clips that chose the epoch.")


def _show(run: HeadRun) -> None:
    from emo.evaluation.tables import HEADERS, result_rows, results_markdown

    if not sys.stdout.isatty():
        click.echo(results_markdown(run.results()), nl=False)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for index, header in enumerate(HEADERS):
        table.add_column(header, justify="right" if index else "left")
    for row in result_rows(run.results()):
        table.add_row(*row)
    Console().print(table)
