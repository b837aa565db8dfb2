"""Results of an ablation: every cell over its seeds, and against the whole system, as JSON and Markdown.

Cells answer for the same test clips, so a cell's score is the mean over its seeds, resampled by speaker, and
a difference is paired. Trains nothing and draws nothing.

Axes: N clips, S seeds, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emo.clip import Clip
from emo.evaluation.intervals import (
    SCORES,
    Difference,
    Floats,
    Interval,
    confusion_rows,
    difference_of_sums,
    interval_of_sums,
)
from emo.evaluation.metrics import classification_scores
from emo.evaluation.tables import markdown_table
from emo.pipeline.ablation_cells import WHOLE, Cell
from emo.pipeline.ablation_runs import CellResult

METRIC = "weighted_f1"
HEADERS = ("ablation", "cell", "mean ± sd", "95 % interval", f"{WHOLE} minus it", "UAR", "invalid")


@dataclass(frozen=True, kw_only=True, slots=True)
class CellScores:
    """A cell over its seeds: `score` is of the mean over them; `loss` is what the whole system has more, None
    for the whole system itself. `uar` and `invalid_rate` are means."""

    axis: str
    cell: Cell
    by_seed: Mapping[int, float]
    score: Interval
    loss: Difference | None
    uar: float
    invalid_rate: float

    @property
    def deviation(self) -> float:
        """Standard deviation over the seeds (n - 1), 0 where there is one."""
        return float(np.std(list(self.by_seed.values()), ddof=1)) if len(self.by_seed) > 1 else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class AblationScores:
    """An ablation of a `system` on n test clips; `rows` begin with the whole system."""

    system: str
    n: int
    clusters: int
    seeds: tuple[int, ...]
    rows: tuple[CellScores, ...]

    def to_json(self) -> dict[str, Any]:
        """Cells by name under `pooled`, each seed under `rows`, differences to the whole under `gains`."""
        return {
            "system": self.system,
            "metric": METRIC,
            "n": self.n,
            "clusters": self.clusters,
            "seeds": list(self.seeds),
            "axes": _names_by_axis(self.rows),
            "rows": [
                {"seed": seed, "set": row.cell.name, METRIC: round(value, 4), **row.cell.to_json()}
                for row in self.rows
                for seed, value in row.by_seed.items()
            ],
            "pooled": {
                row.cell.name: {
                    "n": self.n,
                    METRIC: round(row.score.point, 4),
                    "ci": [round(row.score.low, 4), round(row.score.high, 4)],
                    "sd": round(row.deviation, 4),
                    "uar": round(row.uar, 4),
                    "invalid_rate": round(row.invalid_rate, 4),
                }
                for row in self.rows
            },
            "gains": {
                row.cell.name: {
                    "difference": round(row.loss.value, 4),
                    "ci": [round(row.loss.low, 4), round(row.loss.high, 4)],
                    "p_value": row.loss.p_value,
                }
                for row in self.rows
                if row.loss
            },
        }


def ablation_scores(
    system: str,
    test: Sequence[Clip],
    labels: Sequence[str],
    results: Sequence[CellResult],
    axes: Mapping[str, Sequence[Cell]],
    *,
    seed: int = 0,
) -> AblationScores:
    """Scores of `results`, among which the whole system is; `axes` says where each other cell stands."""
    truth = [str(clip.label) for clip in test]
    speakers = [clip.speaker for clip in test]
    runs: dict[Cell, dict[int, CellResult]] = {}
    for result in results:
        runs.setdefault(result.cell, {})[result.seed] = result
    whole = next(cell for cell in runs if cell.name == WHOLE)
    places = [("", whole), *((axis, cell) for axis, cells in axes.items() for cell in cells)]
    sums = {
        cell: [confusion_rows(truth, one.answers, labels) for one in by_seed.values()]
        for cell, by_seed in runs.items()
    }

    def scored(axis: str, cell: Cell) -> CellScores:
        each = {n: classification_scores(truth, one.answers, labels) for n, one in runs[cell].items()}
        loss = None
        if cell != whole:
            loss = difference_of_sums(METRIC, sums[whole], sums[cell], SCORES[METRIC], speakers, seed=seed)
        return CellScores(
            axis=axis,
            cell=cell,
            by_seed={number: one.weighted_f1 for number, one in each.items()},
            score=_of_the_mean(sums[cell], speakers, seed),
            loss=loss,
            uar=float(np.mean([one.uar for one in each.values()])),
            invalid_rate=float(np.mean([one.invalid_rate for one in each.values()])),
        )

    rows = tuple(scored(axis, cell) for axis, cell in places)
    return AblationScores(
        system=system, n=len(test), clusters=rows[0].score.clusters, seeds=tuple(runs[whole]), rows=rows
    )


def _of_the_mean(runs: Sequence[Floats], speakers: Sequence[str | None], seed: int) -> Interval:
    """The interval of the mean score over runs on the same clips, each (N, K, K + 1)."""
    stacked = np.stack(runs, axis=1)  # (N, S, K, K + 1)
    return interval_of_sums(
        METRIC, stacked, lambda sums: np.asarray(SCORES[METRIC](sums).mean(axis=-1)), speakers, seed=seed
    )


def ablation_markdown(found: AblationScores) -> str:
    """The table with what a reader must know below it."""
    lines = [
        (
            row.axis or "-",
            row.cell.name,
            f"{row.score.point:.3f}" + (f" ± {row.deviation:.3f}" if len(row.by_seed) > 1 else ""),
            row.score.bounds,
            f"{row.loss.value:+.3f} [{row.loss.low:+.3f}, {row.loss.high:+.3f}]" if row.loss else "-",
            f"{row.uar:.3f}",
            f"{100 * row.invalid_rate:.1f} %",
        )
        for row in found.rows
    ]
    seeds = ", ".join(map(str, found.seeds))
    return (
        f"{markdown_table(HEADERS, lines)}\n"
        f"Weighted F1, system {found.system}; n = {found.n} test clips, {found.clusters} speakers or clips "
        f"of unknown speaker, seeds {seeds}. ± is the standard deviation over seeds; intervals are 95 % "
        "bootstraps over speakers of the mean over seeds, paired for differences, and not corrected for the "
        "number of cells.\n"
    )


def _names_by_axis(rows: Sequence[CellScores]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.axis:
            found.setdefault(row.axis, []).append(row.cell.name)
    return found
