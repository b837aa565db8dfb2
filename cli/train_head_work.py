"""What `emo train-head` does: one head, folds, a sweep, or a forecast; each is one call and its drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.console import Voice, print_json
from emo.cli.train_head_show import note_run, note_splits, show_folds, show_run, show_sweep

if TYPE_CHECKING:
    from emo.cache import Space
    from emo.clip import Clip
    from emo.heads.grid import Cell
    from emo.heads.ratings import Ratings
    from emo.heads.trained import EpochMetrics
    from emo.run_data import RunData


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadWork:
    """The heads to train, in `cells`, and what they are trained on."""

    speaker: Voice
    cells: Sequence[Cell]
    clips: Sequence[Clip]
    spaces: Mapping[str, Space]
    labels: Sequence[str]
    ratings: Ratings
    augmented: Mapping[str, Sequence[Space]]
    data: RunData
    out: str
    as_json: bool

    def train(self, *, controls: bool) -> None:
        """One head."""
        from emo.heads.runs import results_in, run_head, write_run

        config = self.cells[0].config
        with self.speaker.meter("train-head") as meter:
            run = run_head(
                self.clips,
                self.spaces,
                self.labels,
                config,
                ratings=self.ratings,
                augmented=self.augmented,
                controls=controls,
                on_epoch=lambda metrics: meter.update(metrics.epoch, config.epochs, _told(metrics)),
            )
        if older := results_in(Path(self.out)):
            self.speaker.note(
                f"the head in {self.out} is replaced; {', '.join(older)} in it are of the old one"
            )
        write_run(run, Path(self.out), self.data.data)
        note_run(self.speaker, run, self.out)
        if self.as_json:
            print_json({"out": self.out, **run.to_json()})
        else:
            show_run(run)

    def sweep(self) -> None:
        """One head a cell, and the choice."""
        from emo.heads.splits import split_clips
        from emo.heads.sweep import Sweep, run_sweep, write_sweep

        first = self.cells[0].config
        note_splits(self.speaker, split_clips(self.clips, val_share=first.val_share, seed=first.seed))
        total, results = len(self.cells), []
        with self.speaker.meter("train-head") as meter:

            def report(number: int, cell: Cell, metrics: EpochMetrics) -> None:
                share = metrics.epoch / cell.config.epochs
                meter.update(number + share, total, f"{cell.name}, {_told(metrics)}")

            for result in run_sweep(
                self.cells,
                self.clips,
                self.spaces,
                self.labels,
                Path(self.out),
                ratings=self.ratings,
                data=self.data.data,
                augmented=self.augmented,
                on_epoch=report,
            ):
                results.append(result)
                meter.update(len(results), total, result.cell.name)
        sweep = Sweep(tuple(results))
        write_sweep(sweep, Path(self.out))
        if self.as_json:
            print_json({"out": self.out, **sweep.to_json()})
        else:
            show_sweep(self.speaker, sweep, self.out)

    def fold(self, folds: int) -> None:
        """One head a fold."""
        from emo.heads.folds import run_folds, write_folds

        config = self.cells[0].config
        with self.speaker.meter("train-head") as meter:
            folded = run_folds(
                self.clips,
                self.spaces,
                self.labels,
                config,
                folds,
                ratings=self.ratings,
                augmented=self.augmented,
                on_epoch=lambda fold, metrics: meter.update(
                    fold + metrics.epoch / config.epochs, folds, f"fold {fold + 1}, {_told(metrics)}"
                ),
            )
        write_folds(folded, Path(self.out), self.data.data)
        if self.as_json:
            print_json({"out": self.out, **folded.to_json()})
        else:
            show_folds(self.speaker, folded, self.out)

    def say_what_it_takes(self, folds: int) -> None:
        """Clips, what is read, parameters and steps of each head."""
        from emo.heads.folds import split_folds
        from emo.heads.forecast import forecast
        from emo.heads.splits import split_clips

        first = self.cells[0].config
        splits = (
            split_folds(self.clips, folds, first)
            if folds
            else [split_clips(self.clips, val_share=first.val_share, seed=first.seed)]
        )
        expected = [forecast(cell, one, self.spaces, self.labels) for cell in self.cells for one in splits]
        if self.as_json:
            print_json({"out": self.out, "dry_run": True, "heads": [each.to_json() for each in expected]})
            return
        for one in splits:
            note_splits(self.speaker, one)
        click.echo("\n".join(line for each in expected for line in each.lines()))


def _told(metrics: EpochMetrics) -> str:
    return f"validation F1 {metrics.val_weighted_f1:.3f}"
