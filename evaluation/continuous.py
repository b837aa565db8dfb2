"""Scores of predicted numbers: valence, arousal, sentiment. Knows numbers, never models.

Axes: N clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import mean_absolute_error, mean_squared_error

from emo.errors import ConfigError
from emo.evaluation.intervals import Floats
from emo.evaluation.summed import Summed, mean_of, share

ROUNDING = 1e-13  # of a mean square: what is left of a variance that is none
UNREAD = "an answer without a number counts as 0, the neutral value, and into the invalid rate."


def concordance(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Concordance correlation 2 cov / (var + var + (mean - mean)^2), population moments (Lin 1989).

    0 where one of the two is constant; ConfigError where lengths differ or a number is not finite.
    """
    x, y = finite_pair(truth, predicted)
    a, b = _centred(x), _centred(y)
    spread = (a * a).mean() + (b * b).mean() + (x - y).mean() ** 2
    return float(2 * (a * b).mean() / spread) if spread > 0 else 0.0


def pearson(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Pearson's correlation, -1 to 1; 0 where one of the two is constant. ConfigError as `concordance`."""
    x, y = finite_pair(truth, predicted)
    a, b = _centred(x), _centred(y)
    spread = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.clip(a @ b / spread, -1, 1)) if spread > 0 else 0.0


def regression(truth: Sequence[float], predicted: Sequence[float | None]) -> Summed:
    """CCC, MSE, MAE and Pearson's correlation; None is an answer without a number, read as 0."""
    x, y = finite_pair(truth, filled(predicted))
    return Summed(
        rows=moments(x, y),
        statistics={"ccc": _ccc, "mse": mean_of(5, 7), "mae": mean_of(6, 7), "corr": correlation},
        invalid=unread(predicted),
        points={
            "ccc": concordance(x, y),
            "mse": float(mean_squared_error(x, y)),
            "mae": float(mean_absolute_error(x, y)),
            "corr": pearson(x, y),
        },
        notes=(UNREAD,) if unread(predicted).any() else (),
    )


def moments(x: Floats, y: Floats) -> Floats:
    """What each clip adds to the moments of both, (N, 8): x, y, xx, yy, xy, squared and absolute error, 1.

    x and y are taken from the mean of x, which loses no digits to a large mean and changes no statistic.
    """
    a, b = x - x.mean(), y - x.mean()
    return np.column_stack([a, b, a * a, b * b, a * b, (x - y) ** 2, np.abs(x - y), np.ones(len(x))])


def correlation(sums: Floats) -> Floats:
    """Pearson's correlation of sums of `moments`, (..., 8) -> (...)."""
    _, _, xx, yy, xy = _central(sums)
    return np.clip(share(xy, np.sqrt(xx * yy)), -1, 1)


def filled(predicted: Sequence[float | None]) -> Floats:
    """The numbers, 0 for None."""
    return np.array([0.0 if value is None else value for value in predicted], np.float64)


def unread(predicted: Sequence[object]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which answers are None, (N,)."""
    return np.array([value is None for value in predicted], np.bool_)


def finite_pair(truth: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 of one length; ConfigError where they are not, or hold NaN or infinity."""
    x, y = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ConfigError(f"{x.shape} true values, {y.shape} predictions. Give one of each a clip.")
    for name, values in (("true values", x), ("predictions", y)):
        if unsound := int((~np.isfinite(values)).sum()):
            raise ConfigError(f"{unsound} of {len(values)} {name} are not finite. Leave those clips out.")
    return x, y


def _centred(values: Floats) -> Floats:
    """Distances from the mean; zeros where all values are the same, whose mean may be another number by a
    rounding. The second step takes away what a large mean lost."""
    if np.ptp(values) == 0:
        return np.zeros_like(values)
    near = values - values.mean()
    return np.asarray(near - near.mean())


def _central(sums: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Means of both, their variances and their covariance; what is constant but for rounding varies not."""
    n = sums[..., 7]
    mean_x, mean_y = sums[..., 0] / n, sums[..., 1] / n
    xx, yy = (_variance(sums[..., place] / n, mean) for place, mean in ((2, mean_x), (3, mean_y)))
    xy = np.where((xx > 0) & (yy > 0), sums[..., 4] / n - mean_x * mean_y, 0.0)
    return mean_x, mean_y, xx, yy, xy


def _variance(square: Floats, mean: Floats) -> Floats:
    spread = square - mean**2
    return np.where(spread > ROUNDING * square, spread, 0.0)


def _ccc(sums: Floats) -> Floats:
    mean_x, mean_y, xx, yy, xy = _central(sums)
    return share(2 * xy, xx + yy + (mean_x - mean_y) ** 2)
