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

UNREAD = "an answer without a number counts as 0, the neutral value, and into the invalid rate."


def concordance(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Concordance correlation 2 cov / (var + var + (mean - mean)^2), population moments (Lin 1989).

    0 where both are constant; ConfigError where lengths differ or a number is not finite.
    """
    x, y = finite_pair(truth, predicted)
    spread = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    return float(2 * ((x - x.mean()) * (y - y.mean())).mean() / spread) if spread > 0 else 0.0


def pearson(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Pearson's correlation, -1 to 1; 0 where one of the two is constant. ConfigError as `concordance`."""
    x, y = finite_pair(truth, predicted)
    x, y = x - x.mean(), y - y.mean()
    spread = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.clip(x @ y / spread, -1, 1)) if spread > 0 else 0.0


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
    return share(xy, np.sqrt(np.maximum(xx * yy, 0)))


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


def _central(sums: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Means of both, their variances and their covariance."""
    n = sums[..., 7]
    mean_x, mean_y = sums[..., 0] / n, sums[..., 1] / n
    return (
        mean_x,
        mean_y,
        sums[..., 2] / n - mean_x**2,
        sums[..., 3] / n - mean_y**2,
        sums[..., 4] / n - mean_x * mean_y,
    )


def _ccc(sums: Floats) -> Floats:
    mean_x, mean_y, xx, yy, xy = _central(sums)
    return share(2 * xy, xx + yy + (mean_x - mean_y) ** 2)
