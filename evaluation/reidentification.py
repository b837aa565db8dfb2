"""Re-identification: how well speakers are told apart by vectors of their clips.

An attacker who has some clips of each speaker by name meets clips of theirs that are new: whose are they, and
are two the same person's? Knows vectors and names; what the vectors are of is the caller's.

Axes: N clips, D dimensions, S speakers, B bins of scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler, normalize

from emo.errors import ConfigError
from emo.evaluation.intervals import Interval, Statistic, interval_of_sums

Floats = NDArray[np.float64]

LEAST_SPEAKERS = 8
LEAST_CLIPS = 4  # of a speaker: two to enrol, two to find again
BINS = 512
RIDGE = 10.0  # in units of the standardised vectors' variance


@dataclass(frozen=True, slots=True)
class Reidentification:
    """What was found out by vectors of `speakers` speakers: `enrolled` clips known, `held_out` clips new.

    `nearest` is how often a new clip lies nearest to its own speaker's mean (cosine), `probe` how often a
    linear classifier names its speaker, both the mean over speakers, so that `chance` is 1 / speakers however
    clips are distributed. `eer` is the equal error rate of saying whether a new clip is a given speaker's:
    0.5 is chance, 0 is certainty. Intervals resample speakers. `left_out` clips are of speakers with fewer
    than four.
    """

    speakers: int
    enrolled: int
    held_out: int
    left_out: int
    chance: float
    nearest: Interval
    probe: Interval
    eer: Interval

    @property
    def above_chance(self) -> bool:
        """Whether one of the three is on the attacker's side of chance with its whole interval."""
        return max(self.nearest.low, self.probe.low) > self.chance or self.eer.high < 0.5

    def to_json(self) -> dict[str, object]:
        """Plain JSON of every field."""
        return asdict(self) | {"above_chance": self.above_chance}


def reidentification(
    vectors: NDArray[np.floating], speakers: Sequence[str], *, seed: int = 0, resamples: int = 2000
) -> Reidentification:
    """Enrol a random half of each speaker's clips (N, D) and look for the others.

    ConfigError where fewer than eight speakers have four clips or more: nothing that means anything could
    be said of them.
    """
    if len(vectors) != len(speakers):
        raise ConfigError(f"{len(vectors)} vectors, {len(speakers)} speakers. Give one of each a clip.")
    counts = Counter(speakers)
    names = sorted(name for name, count in counts.items() if count >= LEAST_CLIPS)
    if len(names) < LEAST_SPEAKERS:
        raise ConfigError(
            f"{len(names)} of {len(counts)} speakers have {LEAST_CLIPS} clips or more; "
            f"{LEAST_SPEAKERS} are needed to measure re-identification."
        )
    enrolled, held_out = _halves(speakers, names, seed)
    code = {name: number for number, name in enumerate(names)}
    known = np.array([code[speakers[row]] for row in enrolled])
    truth = np.array([code[speakers[row]] for row in held_out])
    scaler = StandardScaler().fit(np.asarray(vectors[enrolled], np.float64))
    seen, new = (scaler.transform(np.asarray(vectors[rows], np.float64)) for rows in (enrolled, held_out))
    scores = _cosines(seen, known, new, len(names))
    named = RidgeClassifier(alpha=RIDGE * len(seen) ** 0.5).fit(seen, known).predict(new)

    def interval(metric: str, rows: Floats, statistic: Statistic) -> Interval:
        return interval_of_sums(metric, rows, statistic, resamples=resamples, seed=seed)

    return Reidentification(
        speakers=len(names),
        enrolled=len(enrolled),
        held_out=len(held_out),
        left_out=len(speakers) - len(enrolled) - len(held_out),
        chance=1 / len(names),
        nearest=interval("nearest", _by_speaker(scores.argmax(axis=1) == truth, truth), _mean),
        probe=interval("probe", _by_speaker(named == truth, truth), _mean),
        eer=interval("eer", _binned(scores, truth), equal_error_rate),
    )


def _halves(speakers: Sequence[str], names: Sequence[str], seed: int) -> tuple[list[int], list[int]]:
    """Rows to enrol and rows to find again, of each speaker half; an odd one is found again."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[int]] = {name: [] for name in names}
    for row, name in enumerate(speakers):
        if name in rows:
            rows[name].append(row)
    shuffled = [rng.permutation(rows[name]).tolist() for name in names]
    return [r for of in shuffled for r in of[: len(of) // 2]], [
        r for of in shuffled for r in of[len(of) // 2 :]
    ]


def _cosines(seen: Floats, known: NDArray[np.int64], new: Floats, speakers: int) -> Floats:
    """The cosine of each new clip to the mean of each speaker's enrolled ones, (N, S)."""
    means = np.stack([normalize(seen[known == speaker]).mean(axis=0) for speaker in range(speakers)])
    return np.asarray(normalize(new) @ normalize(means).T)


def _by_speaker(right: NDArray[np.bool_], truth: NDArray[np.int64]) -> Floats:
    """For each speaker the share of clips that are right, and 1: (S, 2), whose sums give the mean."""
    share = np.bincount(truth, weights=right) / np.bincount(truth)
    return np.stack([share, np.ones_like(share)], axis=1)


def _mean(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _binned(scores: Floats, truth: NDArray[np.int64]) -> Floats:
    """For each speaker how many scores of its new clips fall in each bin: (S, 2, B), own and others' means.

    Bins hold equally many scores of all, so the rate is fine where scores are many.
    """
    edges = np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1])
    bins = np.searchsorted(edges, scores, side="right")
    speakers = scores.shape[1]
    own = np.arange(speakers) == truth[:, None]
    counts = np.zeros((speakers, 2, BINS))
    np.add.at(counts, (np.broadcast_to(truth[:, None], bins.shape), 1 - own.astype(int), bins), 1)
    return counts


def equal_error_rate(counts: Floats) -> Floats:
    """The error where as many own scores are too low as others' are too high; counts (..., 2, B) to (...)."""
    shares = counts / counts.sum(axis=-1, keepdims=True)
    missed = np.cumsum(shares[..., 0, :], axis=-1)  # own scores up to each bin
    taken = 1 - np.cumsum(shares[..., 1, :], axis=-1)  # others' above it
    first = np.argmax(missed >= taken, axis=-1)[..., None]
    return np.asarray(
        (np.take_along_axis(missed, first, -1) + np.take_along_axis(taken, first, -1))[..., 0] / 2
    )
