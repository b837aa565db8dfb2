"""A sweep: one run a cell of a grid, the best chosen on validation clips and never on test.

A finished cell is not trained again: `cell.json`, written last into its folder, holds the digest of all that
decided its run. Knows clips and feature spaces, nothing of manifests.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emo.canonical import sha256_json
from emo.clip import Clip
from emo.evaluation.tables import markdown_table
from emo.heads.forecast import forecast
from emo.heads.grid import Cell
from emo.heads.loaded import Loaded, arrays_for, load
from emo.heads.loader import FeatureSpace
from emo.heads.models import head_reads
from emo.heads.ratings import NO_RATINGS, Ratings
from emo.heads.runs import HeadRun, run_loaded, write_run
from emo.heads.splits import split_clips
from emo.heads.trained import EpochMetrics
from emo.rights import DataRights
from emo.text_files import replace_text

CELL, TABLE, CELLS = "cell.json", "sweep", "sweep"
HEADERS = ("cell", "parameters", "epoch", "val weighted F1", "95 % interval", "scored", "F1", "its interval")


@dataclass(frozen=True, slots=True)
class CellResult:
    """What is known of a finished cell; `again` says that it was trained in an earlier run.

    `found` is the JSON of its `cell.json`.
    """

    cell: Cell
    folder: Path
    found: Mapping[str, Any]
    again: bool

    @property
    def rank(self) -> tuple[float, float]:
        """What cells are chosen by, more is better: weighted F1 on validation clips, then their loss."""
        return (self.found["validation"]["weighted_f1"], -self.found["val_loss"])

    @property
    def row(self) -> tuple[str, ...]:
        """Cells under HEADERS."""
        validation, result = self.found["validation"], self.found["result"]
        return (
            self.cell.name,
            f"{self.found['parameters']:,}",
            f"{self.found['best_epoch']} of {self.found['epochs']}",
            f"{validation['weighted_f1']:.3f}",
            _interval(validation),
            f"{self.found['scored_split']}, n {result['n']}",
            f"{result['weighted_f1']:.3f}",
            _interval(result),
        )


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every cell of a sweep, in the order of the grid, and the chosen one."""

    results: tuple[CellResult, ...]

    @property
    def chosen(self) -> CellResult:
        """The cell that is best on validation clips; of equals the first."""
        return max(self.results, key=lambda result: result.rank)

    def to_json(self) -> dict[str, object]:
        """Plain JSON of the cells and of the choice."""
        return {
            "chosen": self.chosen.cell.name,
            "chosen_by": "weighted F1 on validation clips, ties by their loss",
            "trained": sum(not result.again for result in self.results),
            "kept": sum(result.again for result in self.results),
            "cells": [
                {"cell": result.cell.name, "values": dict(result.cell.values), **result.found}
                for result in self.results
            ],
        }

    def markdown(self) -> str:
        """A line a cell, best on validation first."""
        best_first = sorted(self.results, key=lambda result: result.rank, reverse=True)
        table = markdown_table(HEADERS, [result.row for result in best_first])
        return f"{table}\nChosen on validation clips: {self.chosen.cell.name}.\n"


def run_sweep(
    cells: Sequence[Cell],
    clips: Sequence[Clip],
    spaces: Mapping[str, FeatureSpace],
    labels: Sequence[str],
    folder: Path,
    *,
    ratings: Ratings = NO_RATINGS,
    data: Sequence[DataRights] = (),
    augmented: Mapping[str, Sequence[FeatureSpace]] = MappingProxyType({}),
    on_epoch: Callable[[int, Cell, EpochMetrics], None] | None = None,
) -> Iterator[CellResult]:
    """Train each cell into `folder`/sweep/NAME that is not finished there, and yield it.

    Every head is made once before any is trained, so that options out of range do not show after hours.

    `on_epoch` is told the number of the cell, from 0. Raises what `run_head` raises.
    """
    for cell in cells:
        splits = split_clips(clips, val_share=cell.config.val_share, seed=cell.config.seed)
        forecast(cell, splits, spaces, labels)
    held = _Held(clips, spaces, augmented)
    for number, cell in enumerate(cells):
        place = folder / CELLS / cell.name
        digest = _digest(cell, clips, spaces, labels, ratings, augmented)
        finished = _finished(place, digest)
        if finished is not None:
            yield CellResult(cell, place, finished, again=True)
            continue
        (place / CELL).unlink(missing_ok=True)
        report = None if on_epoch is None else _of_cell(on_epoch, number, cell)
        run = run_loaded(held.of(cell), labels, cell.config, ratings=ratings, on_epoch=report)
        write_run(run, place, data)
        yield CellResult(cell, place, _write_cell(run, place, digest), again=False)


def write_sweep(sweep: Sweep, folder: Path) -> None:
    """Write `sweep.json` and `sweep.md`, and the files of the chosen cell beside them."""
    for path in sorted(sweep.chosen.folder.iterdir()):
        if path.is_file() and path.name != CELL:
            shutil.copyfile(path, folder / path.name)
    text = json.dumps(sweep.to_json(), indent=1, ensure_ascii=False)
    (folder / f"{TABLE}.json").write_text(text + "\n", encoding="utf-8")
    (folder / f"{TABLE}.md").write_text(sweep.markdown(), encoding="utf-8")


class _Held:
    """Features in memory, read once for all cells in a row that read the same."""

    def __init__(
        self,
        clips: Sequence[Clip],
        spaces: Mapping[str, FeatureSpace],
        augmented: Mapping[str, Sequence[FeatureSpace]],
    ) -> None:
        self._clips, self._spaces, self._augmented = clips, spaces, augmented
        self._key: object = None
        self._loaded: Loaded | None = None

    def of(self, cell: Cell) -> Loaded:
        """What the cell reads."""
        config = cell.config
        key = (
            arrays_for(self._spaces, config.arrays, head_reads(config.head)),
            config.val_share,
            config.seed,
        )
        if self._loaded is None or key != self._key:
            self._loaded = None  # frees the last before the next is read
            self._loaded = load(self._clips, self._spaces, config, self._augmented)
            self._key = key
        return self._loaded


def _digest(
    cell: Cell,
    clips: Sequence[Clip],
    spaces: Mapping[str, FeatureSpace],
    labels: Sequence[str],
    ratings: Ratings,
    augmented: Mapping[str, Sequence[FeatureSpace]],
) -> str:
    """SHA-256 of all that decides a cell's run: settings, clips with their labels, and features."""
    versions = {name: [space.spec.fingerprint for space in more] for name, more in augmented.items()}
    there = {
        name: [_status(space, clip.clip_id) for clip in clips if clip.label] for name, space in spaces.items()
    }
    return sha256_json(
        {
            "config": asdict(cell.config),
            "clips": [[clip.clip_id, clip.label, clip.speaker, clip.split] for clip in clips],
            "labels": list(labels),
            "features": {name: space.spec.fingerprint for name, space in spaces.items()},
            "present": there,
            "augmented": versions,
            "valence": dict(ratings.valence) if cell.config.valence > 0 else {},
            "votes": {name: dict(one) for name, one in ratings.votes.items()}
            if cell.config.soft_labels
            else {},
        }
    )


def _status(space: FeatureSpace, clip_id: str) -> str:
    info = space.info(clip_id)
    return "" if info is None else info.status


def _finished(place: Path, digest: str) -> dict[str, Any] | None:
    """The cell in `place`, where it is whole and of the same digest."""
    try:
        found = json.loads((place / CELL).read_text(encoding="utf-8"))
        return found if found["digest"] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_cell(run: HeadRun, place: Path, digest: str) -> dict[str, Any]:
    found = {
        "digest": digest,
        "parameters": sum(one.numel() for one in run.trained.model.parameters()),
        "val_loss": run.trained.kept.val_loss,
        **run.to_json(),
    }
    replace_text(place / CELL, json.dumps(found, ensure_ascii=False) + "\n")
    return found


def _of_cell(
    report: Callable[[int, Cell, EpochMetrics], None], number: int, cell: Cell
) -> Callable[[EpochMetrics], None]:
    return lambda metrics: report(number, cell, metrics)


def _interval(scores: Mapping[str, Any]) -> str:
    """A dash where one speaker leaves nothing to resample, as `Interval.bounds`."""
    if scores.get("clusters") == 1:
        return "-"
    return f"{scores['ci'][0]:.3f} to {scores['ci'][1]:.3f}"
