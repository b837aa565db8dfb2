"""Calibration: how far probabilities are from how often they come true. Knows numbers and labels only.

Axes: N clips, K classes, M bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emo.errors import ConfigError
from emo.evaluation.intervals import Floats, Interval, interval_of_sums
from emo.evaluation.metrics import label_codes

BINS = 15
LEAST = 1e-12  # probabilities below count as this in the log loss


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Clips whose largest probability lies in (low, high]: their number, mean confidence and accuracy."""

    low: float
    high: float
    clips: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationScores:
    """Calibration of N answers; intervals are bootstraps over speakers.

    `ece` is the expected calibration error over M equal bins of the largest probability (Guo et al. 2017,
    arXiv:1706.04599, equation 3). Resamples repeat clips, so its interval leans upward. `brier` is the mean
    squared distance of the K probabilities to the truth, 0 to 2 (Brier 1950); `nll` the mean log loss.
    """

    ece: Interval
    brier: Interval
    nll: Interval
    bins: tuple[ReliabilityBin, ...]
    n: int

    def to_json(self) -> dict[str, object]:
        """Every score with its 95 % interval as `ci`; bins without clips are left out."""
        scores = {
            each.metric: {"value": each.point, "ci": [each.low, each.high]}
            for each in (self.ece, self.brier, self.nll)
        }
        bins = [
            {"low": b.low, "high": b.high, "n": b.clips, "confidence": b.confidence, "accuracy": b.accuracy}
            for b in self.bins
            if b.clips
        ]
        return {"n": self.n, **scores, "bins": bins}


def calibration_scores(
    probabilities: ArrayLike,
    truth: Sequence[str],
    labels: Sequence[str],
    speakers: Sequence[str | None] | None = None,
    *,
    bins: int = BINS,
    seed: int = 0,
) -> CalibrationScores:
    """Scores of `probabilities` (N, K). ConfigError where lengths or labels disagree, or one is NaN."""
    values, rows = _checked(probabilities, truth, labels)
    confidence, right = values.max(axis=1), values.argmax(axis=1) == rows
    which = _bins(confidence, bins)
    ones = np.ones(len(rows))
    gaps = np.zeros((len(rows), bins + 1))
    gaps[np.arange(len(rows)), which] = confidence - right
    gaps[:, -1] = 1
    squared = ((values - np.eye(len(labels))[rows]) ** 2).sum(axis=1)
    loss = -np.log(np.maximum(values[np.arange(len(rows)), rows], LEAST))
    return CalibrationScores(
        ece=interval_of_sums("ece", gaps, _summed_gaps, speakers, seed=seed),
        brier=interval_of_sums("brier", np.column_stack([squared, ones]), _mean, speakers, seed=seed),
        nll=interval_of_sums("nll", np.column_stack([loss, ones]), _mean, speakers, seed=seed),
        bins=_table(confidence, right, which, bins),
        n=len(rows),
    )


def expected_calibration_error(
    probabilities: ArrayLike, truth: Sequence[str], labels: Sequence[str], bins: int = BINS
) -> float:
    """The expected calibration error alone, 0 to 1, as in CalibrationScores."""
    values, rows = _checked(probabilities, truth, labels)
    confidence, right = values.max(axis=1), values.argmax(axis=1) == rows
    gap = np.bincount(_bins(confidence, bins), weights=confidence - right, minlength=bins)
    return float(np.abs(gap).sum() / len(rows))


def _checked(
    probabilities: ArrayLike, truth: Sequence[str], labels: Sequence[str]
) -> tuple[Floats, NDArray[np.int64]]:
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != (len(truth), len(labels)):
        raise ConfigError(f"probabilities {values.shape} for {len(truth)} clips and {len(labels)} labels.")
    if unsound := int(np.isnan(values).any(axis=1).sum()):
        raise ConfigError(f"{unsound} of {len(values)} clips have NaN probabilities. Try --dtype float32.")
    return values, label_codes(truth, truth, labels)[0]


def _bins(confidence: Floats, bins: int) -> NDArray[np.int64]:
    """The bin of each confidence; a bin holds its upper edge, the first one 0 as well."""
    return np.searchsorted(np.arange(1, bins) / bins, confidence, side="left").astype(np.int64)


def _summed_gaps(sums: Floats) -> Floats:
    return np.asarray(np.abs(sums[..., :-1]).sum(axis=-1) / sums[..., -1])


def _mean(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _table(
    confidence: Floats, right: NDArray[np.bool_], which: NDArray[np.int64], bins: int
) -> tuple[ReliabilityBin, ...]:
    counts = np.bincount(which, minlength=bins)
    whole = np.maximum(counts, 1)
    means = np.bincount(which, weights=confidence, minlength=bins) / whole
    shares = np.bincount(which, weights=right, minlength=bins) / whole
    return tuple(
        ReliabilityBin(place / bins, (place + 1) / bins, int(counts[place]), float(mean), float(share))
        for place, (mean, share) in enumerate(zip(means, shares, strict=True))
    )
