"""Scores of sentiment values as the field computes them for CMU-MOSI, CMU-MOSEI and CH-SIMS.

Papers mix conventions, so both stand beside each other: `non0` leaves neutral clips out and compares > 0;
`has0` keeps them and compares >= 0. Knows numbers, never models.

Source: MMSA, src/MMSA/utils/metricsTop.py (github.com/thuiar/MMSA). Axes: N clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

from emo.evaluation.continuous import UNREAD, correlation, filled, finite_pair, moments, pearson, unread
from emo.evaluation.intervals import Floats, Statistic
from emo.evaluation.summed import Summed, mean_of, share

MOMENTS = 8
SIMS_CUTS: Mapping[int, tuple[float, ...]] = {2: (0.0,), 3: (-0.1, 0.1), 5: (-0.7, -0.1, 0.1, 0.7)}


def mosi(truth: Sequence[float], predicted: Sequence[float | None]) -> Summed:
    """Scores of values in [-3, 3] under the conventions of CMU-MOSI and CMU-MOSEI.

    acc7 and acc5 clip to [-3, 3] and [-2, 2] and round halves to even, as NumPy does and MMSA with it.
    ConfigError where lengths differ or a value is not finite.
    """
    x, y = finite_pair(truth, filled(predicted))
    everywhere, emotional = np.ones(len(x), np.bool_), x != 0
    parts = _Parts(x, y, unread(predicted))
    parts.binary("non0", x > 0, y > 0, emotional)
    parts.binary("has0", x >= 0, y >= 0, everywhere)
    for classes, limit in ((7, 3), (5, 2)):
        parts.equal(f"acc{classes}", np.round(np.clip(x, -limit, limit)), np.round(np.clip(y, -limit, limit)))
    return parts.summed({"neutral_clips": int((~emotional).sum())})


def sims(truth: Sequence[float], predicted: Sequence[float | None]) -> Summed:
    """Scores of values in [-1, 1] under the convention of CH-SIMS and v2: a value of 0 is negative.

    Values are clipped to [-1, 1]; a value on a cut belongs to the class below it. ConfigError as `mosi`.
    """
    x, y = finite_pair(truth, filled(predicted))
    parts = _Parts(x, y, unread(predicted))
    inside = np.clip(x, -1, 1), np.clip(y, -1, 1)
    for classes, cuts in SIMS_CUTS.items():
        one, other = (np.searchsorted(cuts, values, side="left") for values in inside)
        if classes == 2:
            parts.binary("", one > 0, other > 0, np.ones(len(x), np.bool_))
        else:
            parts.equal(f"acc{classes}", one, other)
    return parts.summed({"neutral_clips": int((x == 0).sum())})


class _Parts:
    """Gathers what each clip adds to every score, with the scores themselves."""

    def __init__(self, x: Floats, y: Floats, invalid: NDArray[np.bool_]) -> None:
        self._columns: list[Floats] = [moments(x, y)]
        self._width = MOMENTS
        self._x, self._y, self._invalid = x, y, invalid
        self._statistics: dict[str, Statistic] = {}
        self._points: dict[str, float] = {}

    def binary(
        self, name: str, x: NDArray[np.bool_], y: NDArray[np.bool_], counted: NDArray[np.bool_]
    ) -> None:
        """Accuracy and weighted F1 of two classes over the clips that are `counted`."""
        start = self._add(
            np.column_stack([counted & (x == one) & (y == other) for one in (0, 1) for other in (0, 1)])
        )
        ending = f"_{name}" if name else ""
        self._statistics["acc2" + ending] = lambda sums: _accuracy(sums[..., start : start + 4])
        self._statistics["f1" + ending] = lambda sums: _weighted_f1(sums[..., start : start + 4])
        some = bool(counted.any())
        accuracy = accuracy_score(x[counted], y[counted]) if some else 0.0
        f1 = f1_score(x[counted], y[counted], average="weighted", zero_division=0) if some else 0.0
        self._points["acc2" + ending], self._points["f1" + ending] = float(accuracy), float(f1)

    def equal(self, name: str, x: NDArray[np.generic], y: NDArray[np.generic]) -> None:
        """The share of clips whose class is the same."""
        start = self._add(np.asarray(x == y)[:, None])
        self._statistics[name] = mean_of(start, MOMENTS - 1)
        self._points[name] = float((x == y).mean())

    def summed(self, details: Mapping[str, object]) -> Summed:
        """Everything gathered, with MAE and correlation at the end."""
        return Summed(
            rows=np.concatenate(self._columns, axis=1),
            statistics={**self._statistics, "mae": mean_of(6, 7), "corr": correlation},
            invalid=self._invalid,
            points={
                **self._points,
                "mae": float(mean_absolute_error(self._x, self._y)),
                "corr": pearson(self._x, self._y),
            },
            details=details,
            notes=(UNREAD,) if self._invalid.any() else (),
        )

    def _add(self, columns: NDArray[np.bool_]) -> int:
        self._columns.append(columns.astype(np.float64))
        start, self._width = self._width, self._width + columns.shape[1]
        return start


def _accuracy(counts: Floats) -> Floats:
    """Of counts (..., 4): true and answered no/no, no/yes, yes/no, yes/yes."""
    return share(counts[..., 0] + counts[..., 3], counts.sum(axis=-1))


def _weighted_f1(counts: Floats) -> Floats:
    no, false_yes, false_no, yes = np.moveaxis(counts, -1, 0)
    wrong = false_yes + false_no
    f1_no, f1_yes = share(2 * no, 2 * no + wrong), share(2 * yes, 2 * yes + wrong)
    return share(f1_no * (no + false_yes) + f1_yes * (yes + false_no), counts.sum(axis=-1))
