"""A metric as what each clip adds to sums: the one form that gives intervals, paired tests and seeds.

Knows numbers only. Axes: N clips, F figures a clip, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from emo.errors import ConfigError
from emo.evaluation.intervals import (
    Difference,
    Floats,
    Interval,
    Statistic,
    cluster_codes,
    difference_of_sums,
    interval_of_sums,
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Summed:
    """One run of one metric on N clips.

    `rows` (N, ...) is what each clip adds, `statistics` take the sums to the scores, headline first; `points`
    are the scores as the field's library computes them, where it has them. `invalid` (N,) marks answers
    that could not be read; `details` are further figures, plain JSON; `notes` say what a reader must know.
    """

    rows: Floats
    statistics: Mapping[str, Statistic]
    invalid: NDArray[np.bool_]
    points: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def value(self, score: str) -> float:
        """The point value of one of the scores."""
        if score in self.points:
            return self.points[score]
        return float(self.statistics[score](self.rows.sum(axis=0)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Scores of one run with intervals, headline first; each has the same n and invalid rate."""

    scores: tuple[Interval, ...]
    n: int
    clusters: int
    invalid_rate: float
    details: Mapping[str, object]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Every score by its name with n, invalid rate and interval, then the details."""
        return {
            "n": self.n,
            "clusters": self.clusters,
            "invalid_rate": self.invalid_rate,
            "scores": {
                each.metric: {
                    "value": each.point,
                    "ci": [each.low, each.high],
                    "n": self.n,
                    "invalid_rate": self.invalid_rate,
                }
                for each in self.scores
            },
            **self.details,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """Mean and standard deviation (n - 1) of a score over runs that differ in their seed."""

    metric: str
    mean: float
    deviation: float
    runs: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.deviation:.3f} over {self.runs} runs"


def measured(run: Summed, clusters: Sequence[str | None] | None, *, seed: int = 0) -> Measured:
    """Intervals of every score, resampled by cluster; `seed` is the bootstrap's."""
    intervals = [
        interval_of_sums(name, run.rows, statistic, clusters, seed=seed)
        for name, statistic in run.statistics.items()
    ]
    count = int(cluster_codes(len(run.rows), clusters).max()) + 1
    return Measured(
        scores=tuple(replace(each, point=run.value(each.metric)) for each in intervals),
        n=len(run.rows),
        clusters=count,
        invalid_rate=float(run.invalid.mean()),
        details=run.details,
        notes=(*run.notes, *_narrow(len(run.rows), count)),
    )


def over_seeds(runs: Sequence[Summed]) -> tuple[OverSeeds, ...]:
    """Each score over `runs`; ConfigError where there are fewer than two."""
    if len(runs) < 2:
        raise ConfigError(f"{len(runs)} run has no standard deviation. Give the predictions of more seeds.")
    found = []
    for name in runs[0].statistics:
        values = [run.value(name) for run in runs]
        found.append(OverSeeds(name, float(np.mean(values)), float(np.std(values, ddof=1)), len(values)))
    return tuple(found)


def differences(
    first: Sequence[Summed], second: Sequence[Summed], clusters: Sequence[str | None] | None, *, seed: int = 0
) -> tuple[Difference, ...]:
    """Each score of the first system minus that of the second, on the same resampled clusters."""
    return tuple(
        difference_of_sums(
            name, [run.rows for run in first], [run.rows for run in second], statistic, clusters, seed=seed
        )
        for name, statistic in first[0].statistics.items()
    )


def mean_of(place: int, whole: int) -> Statistic:
    """The sum at `place` over the sum at `whole`; 0 where that is 0."""

    def statistic(sums: Floats) -> Floats:
        return share(sums[..., place], sums[..., whole])

    return statistic


def share(part: Floats, whole: Floats) -> Floats:
    """`part` over `whole`, 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros_like(np.asarray(whole, np.float64)), where=whole != 0)


def _narrow(clips: int, clusters: int) -> tuple[str, ...]:
    if clusters < clips:
        return ()
    return (
        "no two clips share a speaker or dialogue here: the interval is too narrow where they do in truth. "
        "Name the column with --cluster.",
    )
