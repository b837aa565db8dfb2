"""Bootstrap intervals of scores, resampled by speaker: clips of one person are not independent.

A resample is a count of how often each speaker was drawn, so its confusion matrix is one matrix product and
thousands of resamples take milliseconds. Knows labels and speakers, never models.

Axes: N clips, G clusters (speakers), R resamples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.errors import ConfigError
from emo.evaluation.metrics import label_codes

Floats = NDArray[np.float64]
Metric = Literal["weighted_f1", "uar", "war"]
Statistic: TypeAlias = Callable[[Floats], Floats]  # of sums over clips, (..., F) -> (...)
CHUNK = 256  # resamples at once: bounds the memory where every clip is a cluster of its own


@dataclass(frozen=True, slots=True)
class Interval:
    """A score with the percentile interval of its bootstrap; `clusters` is what was resampled.

    Of a single cluster every resample is the same: `low` and `high` are the point and say nothing.
    """

    metric: str
    point: float
    low: float
    high: float
    level: float
    clusters: int

    def __str__(self) -> str:
        bounds = f"{self.low:.3f}, {self.high:.3f}" if self.clusters > 1 else "no interval: one speaker"
        return f"{self.point:.3f} [{bounds}]"

    @property
    def bounds(self) -> str:
        """The interval for a table; a dash where a single cluster leaves nothing to resample."""
        return f"{self.low:.3f} to {self.high:.3f}" if self.clusters > 1 else "-"


@dataclass(frozen=True, slots=True)
class Difference:
    """Score of the first system minus that of the second on the same clips.

    `p_value` is two-sided: twice the smaller share of resamples on either side of 0, at least 1 / R.
    """

    metric: str
    value: float
    low: float
    high: float
    level: float
    p_value: float
    clusters: int


def bootstrap_interval(
    truth: Sequence[str],
    predicted: Sequence[str | None],
    labels: Sequence[str],
    clusters: Sequence[str | None] | None = None,
    *,
    metric: Metric = "weighted_f1",
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The percentile interval of a score; `clusters` names the speaker of each clip.

    A clip whose cluster is None, and every clip where there are no clusters, is a cluster of its own.
    ConfigError as `classification_scores`.
    """
    score = _metric(metric)
    tables = _cluster_tables(truth, predicted, labels, clusters)
    return _interval(metric, tables, score, resamples, level, seed)


def interval_of_sums(
    metric: str,
    rows: Floats,
    statistic: Statistic,
    clusters: Sequence[str | None] | None = None,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The percentile interval of any statistic of sums over clips, under the name `metric`.

    `rows` (N, F) is what each clip adds; `statistic` takes sums (..., F) to values (...). ConfigError where
    there are no clips or lengths differ.
    """
    if not len(rows):
        raise ConfigError(f"no clips to take {metric} of.")
    return _interval(metric, _summed(rows, clusters), statistic, resamples, level, seed)


def draws_of_sums(
    rows: Floats,
    statistic: Statistic,
    clusters: Sequence[str | None] | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Floats:
    """The statistic of each resample, (R,): what the interval's percentiles are taken of."""
    return statistic(_resampled(_summed(rows, clusters), resamples, seed))


def _summed(rows: Floats, clusters: Sequence[str | None] | None) -> Floats:
    """The sums of `rows` (N, ...) in each cluster, (G, ...)."""
    groups = cluster_codes(len(rows), clusters)
    tables = np.zeros((groups.max() + 1, *rows.shape[1:]))
    np.add.at(tables, groups, rows)
    return tables


def _interval(
    metric: str, tables: Floats, statistic: Statistic, resamples: int, level: float, seed: int
) -> Interval:
    low, high = _percentiles(statistic(_resampled(tables, resamples, seed)), level)
    return Interval(metric, float(statistic(tables.sum(axis=0))), low, high, level, len(tables))


def paired_bootstrap(
    truth: Sequence[str],
    first: Sequence[str | None],
    second: Sequence[str | None],
    labels: Sequence[str],
    clusters: Sequence[str | None] | None = None,
    *,
    metric: Metric = "weighted_f1",
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Whether `first` is better than `second`: both scored on the same resampled speakers."""
    score = _metric(metric)
    tables = [_cluster_tables(truth, predicted, labels, clusters) for predicted in (first, second)]
    return _difference(metric, tables[:1], tables[1:], score, resamples, level, seed)


def difference_of_sums(
    metric: str,
    first: Sequence[Floats],
    second: Sequence[Floats],
    statistic: Statistic,
    clusters: Sequence[str | None] | None = None,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """As `paired_bootstrap` for any statistic of sums over clips.

    Each system has one array (N, F) a run, over the same clips; its score is the mean over its runs.
    ConfigError where the numbers of clips differ.
    """
    if len({len(rows) for rows in (*first, *second)}) != 1:
        raise ConfigError(f"{metric}: the runs have different numbers of clips. Compare on the same ones.")
    tables = [[_summed(rows, clusters) for rows in runs] for runs in (first, second)]
    return _difference(metric, tables[0], tables[1], statistic, resamples, level, seed)


def _difference(
    metric: str,
    first: Sequence[Floats],
    second: Sequence[Floats],
    statistic: Statistic,
    resamples: int,
    level: float,
    seed: int,
) -> Difference:
    # One seed for every draw draws the same speakers, which is what makes the comparison paired.
    draws = [
        np.mean([statistic(_resampled(table, resamples, seed)) for table in runs], axis=0)
        for runs in (first, second)
    ]
    points = [np.mean([statistic(table.sum(axis=0)) for table in runs]) for runs in (first, second)]
    differences = draws[0] - draws[1]
    low, high = _percentiles(differences, level)
    sides = min(float((differences <= 0).mean()), float((differences >= 0).mean()))
    p_value = min(1.0, max(2 * sides, 1 / resamples))
    return Difference(metric, float(points[0] - points[1]), low, high, level, p_value, len(first[0]))


def _cluster_tables(
    truth: Sequence[str],
    predicted: Sequence[str | None],
    labels: Sequence[str],
    clusters: Sequence[str | None] | None,
) -> Floats:
    """Confusion counts of each cluster, (G, K, K + 1)."""
    rows, columns = label_codes(truth, predicted, labels)
    groups = cluster_codes(len(truth), clusters)
    tables = np.zeros((groups.max() + 1, len(labels), len(labels) + 1))
    np.add.at(tables, (groups, rows, columns), 1)
    return tables


def confusion_rows(truth: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> Floats:
    """What each clip adds to the confusion counts, (N, K, K + 1): the rows under SCORES."""
    return _cluster_tables(truth, predicted, labels, None)


def cluster_codes(clips: int, clusters: Sequence[str | None] | None) -> NDArray[np.int64]:
    """The number of each clip's cluster, (N,), from 0 in order of appearance; None is one of its own."""
    if clusters is not None and len(clusters) != clips:
        raise ConfigError(f"{clips} clips but {len(clusters)} clusters. Give one a clip, or None.")
    speakers = clusters if clusters is not None else [None] * clips
    names = [("clip", str(row)) if name is None else ("speaker", name) for row, name in enumerate(speakers)]
    order = {name: index for index, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], dtype=np.int64)


def cluster_draws(count: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each of `count` clusters was drawn, (at most CHUNK, G), until `resamples` rows were given."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        yield rng.multinomial(count, np.full(count, 1 / count), size=min(CHUNK, resamples - start))


def _resampled(tables: Floats, resamples: int, seed: int) -> Floats:
    """Confusion counts of `resamples` draws of as many clusters as there are, (R, K, K + 1)."""
    flat = tables.reshape(len(tables), -1)
    parts = [draws @ flat for draws in cluster_draws(len(tables), resamples, seed)]
    return np.concatenate(parts).reshape(resamples, *tables.shape[1:])


def _percentiles(draws: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _diagonal(counts: Floats) -> Floats:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part, dtype=np.float64), where=whole > 0)


def _weighted_f1(counts: Floats) -> Floats:
    support, answered = counts.sum(axis=-1), counts.sum(axis=-2)[..., :-1]
    f1 = _ratio(2 * _diagonal(counts), support + answered)
    return np.asarray((f1 * support).sum(axis=-1) / support.sum(axis=-1))


def _uar(counts: Floats) -> Floats:
    support = counts.sum(axis=-1)
    return np.asarray(_ratio(_diagonal(counts), support).sum(axis=-1) / (support > 0).sum(axis=-1))


def _war(counts: Floats) -> Floats:
    return np.asarray(_diagonal(counts).sum(axis=-1) / counts.sum(axis=(-2, -1)))


SCORES: Mapping[str, Statistic] = {"weighted_f1": _weighted_f1, "uar": _uar, "war": _war}


def _metric(name: str) -> Statistic:
    if name not in SCORES:
        raise ConfigError(f"no metric {name!r}. Known: {', '.join(SCORES)}.")
    return SCORES[name]
