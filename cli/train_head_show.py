"""What `emo train-head` tells of a run, of folds and of a sweep. Trains nothing and writes no file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from emo.cli.console import Voice

if TYPE_CHECKING:
    from emo.heads.folds import FoldedRun
    from emo.heads.runs import HeadRun
    from emo.heads.splits import Splits
    from emo.heads.sweep import Sweep


def note_splits(speaker: Voice, splits: Splits) -> None:
    """How many clips there are of each kind, and speakers on both sides."""
    held_out = " (held-out speakers)" if splits.held_out else ""
    speaker.note(f"{len(splits.train)} train, {len(splits.val)} val{held_out}, {len(splits.test)} test clips")
    if shared := splits.shared_speakers:
        speaker.note(f"{len(shared)} speakers are in both train and test: this is no score of new people.")


def note_run(speaker: Voice, run: HeadRun, out: str) -> None:
    """What is worth knowing of a run before its score."""
    trained = run.trained
    note_splits(speaker, run.splits)
    speaker.note(f"epoch {trained.best_epoch} of {len(trained.history)} kept; written to {out}")
    if len(trained.dims) < len(run.features):
        speaker.note(f"kept of {len(run.features)} features: {', '.join(trained.dims)}")
    for name, views in run.augmented.items():
        speaker.note(f"{name}: training also drew from {', '.join(views)}")
    if run.featureless:
        speaker.note(f"{run.featureless} clips have none of the features; they are answered with the prior.")
    if run.scored_split == "val":
        speaker.note("no test split: the score is that of the validation clips that chose the epoch.")


def show_run(run: HeadRun) -> None:
    """The table of results, and the combined score where the valence was trained."""
    from emo.evaluation.tables import HEADERS, result_rows, results_markdown

    if sys.stdout.isatty():
        _table(HEADERS, result_rows(run.results()))
    else:
        click.echo(results_markdown(run.results()), nl=False)
    if run.combined is not None:
        said = ", ".join(f"{each.metric} {each}" for each in run.combined.scores)
        click.echo(f"MER2023, weighted F1 - 0.25 MSE of the valence, n {run.combined.n}: {said}")


def show_folds(speaker: Voice, folded: FoldedRun, out: str) -> None:
    """A line a fold, then mean and deviation."""
    if folded.left_out:
        speaker.note(f"{folded.left_out} clips are kept for testing by the manifest; no fold saw them.")
    speaker.note(f"{len(folded.runs)} folds by speaker; written to {out}")
    click.echo(folded.markdown(), nl=False)


def show_sweep(speaker: Voice, sweep: Sweep, out: str) -> None:
    """A line a cell, best on validation first, and the choice."""
    kept = sum(result.again for result in sweep.results)
    again = f", {kept} of them trained before" if kept else ""
    speaker.note(f"{len(sweep.results)} cells{again}; the chosen head is in {out}, all in {out}/sweep.md")
    click.echo(sweep.markdown(), nl=False)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for index, header in enumerate(headers):
        table.add_column(header, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
