"""Answering only where one is sure: risk by coverage. Knows confidences and mistakes, never models.

Axes: N clips, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emo.errors import ConfigError
from emo.evaluation.intervals import Floats, Interval, cluster_codes, cluster_draws


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RiskCoverage:
    """The share of wrong answers among the surest clips, for every share of clips answered.

    `threshold[i]`, falling, is the least confidence answered at `coverage[i]` with error rate `risk[i]`.
    `aurc` is the mean of the risk over all clips (area under the curve; Geifman and El-Yaniv 2017,
    arXiv:1705.08500): 0 is best, the error rate is what blind refusing reaches.
    """

    threshold: Floats
    coverage: Floats
    risk: Floats
    aurc: Interval
    n: int

    def to_json(self) -> dict[str, object]:
        """The area with its interval."""
        return {"n": self.n, "aurc": {"value": self.aurc.point, "ci": [self.aurc.low, self.aurc.high]}}


def risk_coverage(
    confidence: ArrayLike,
    wrong: ArrayLike,
    speakers: Sequence[str | None] | None = None,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> RiskCoverage:
    """The curve of N answers with `confidence` (N,) of which some are `wrong` (N,) bool.

    Clips of equal confidence are answered or refused together. ConfigError where lengths differ.
    """
    sure, mistakes = np.asarray(confidence, np.float64), np.asarray(wrong, np.float64)
    if sure.shape != mistakes.shape or sure.ndim != 1 or not len(sure):
        raise ConfigError(f"confidence {sure.shape} and mistakes {mistakes.shape}. Give one of each a clip.")
    order = np.argsort(-sure, kind="stable")
    sure, mistakes = sure[order], mistakes[order]
    ends = np.append(np.flatnonzero(np.diff(sure)), len(sure) - 1)  # last clip of each confidence
    groups = cluster_codes(len(sure), speakers)[order]
    clusters = int(groups.max()) + 1
    draws = np.concatenate(
        [
            _area(counts[:, groups].astype(np.float64), mistakes, ends)
            for counts in cluster_draws(clusters, resamples, seed)
        ]
    )
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    ones = np.ones((1, len(sure)))
    point = float(_area(ones, mistakes, ends)[0])
    return RiskCoverage(
        threshold=sure[ends],
        coverage=(ends + 1) / len(sure),
        risk=_risks(ones, mistakes, ends)[0],
        aurc=Interval("aurc", point, float(low), float(high), level, clusters),
        n=len(sure),
    )


def _risks(weights: Floats, mistakes: Floats, ends: NDArray[np.int64]) -> Floats:
    """Error rate among the clips up to each end, (R, number of ends), each clip counted `weights` (R, N)."""
    answered, wrong = weights.cumsum(axis=1)[:, ends], (weights * mistakes).cumsum(axis=1)[:, ends]
    return np.asarray(np.divide(wrong, answered, out=np.zeros_like(wrong), where=answered > 0))


def _area(weights: Floats, mistakes: Floats, ends: NDArray[np.int64]) -> Floats:
    """Mean risk over clips, (R,)."""
    share = np.diff(weights.cumsum(axis=1)[:, ends], axis=1, prepend=0)
    return np.asarray((share * _risks(weights, mistakes, ends)).sum(axis=1) / weights.sum(axis=1))
