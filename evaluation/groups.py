"""Scores by group of people, such as declared gender, age, language or skin tone, and the worst gap.

A group is what a manifest or a side file declares; nothing is inferred from a face or a voice. Knows sums and
group names, never models. Axes: N clips, P groups, R resamples, G clusters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from emo.errors import ConfigError
from emo.evaluation.intervals import (
    Floats,
    Interval,
    Statistic,
    cluster_codes,
    draws_of_sums,
    interval_of_sums,
)
from emo.evaluation.summed import Summed

RESAMPLES, SHUFFLES, LEVEL = 2000, 1000, 0.95
FEW_CLUSTERS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupScore:
    """One group: its score with interval, its clips, and the rate of its answers that could not be read."""

    group: str
    score: Interval
    n: int
    invalid_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupScores:
    """Scores of P groups, worst first, and the gap between the best and the worst.

    The largest of noisy differences is never small: `p_value` is the share of shufflings of the groups among
    the speakers (or clips) whose worst gap is at least as large. `undeclared` clips belong to no group.
    """

    column: str
    groups: tuple[GroupScore, ...]
    gap: Interval
    p_value: float
    undeclared: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Every group with n, invalid rate and interval, and the gap."""
        return {
            "column": self.column,
            "score": self.gap.metric,
            "groups": {
                each.group: {
                    "value": each.score.point,
                    "ci": [each.score.low, each.score.high],
                    "n": each.n,
                    "clusters": each.score.clusters,
                    "invalid_rate": each.invalid_rate,
                }
                for each in self.groups
            },
            "worst_gap": {
                "value": self.gap.point,
                "ci": [self.gap.low, self.gap.high],
                "best": self.groups[-1].group,
                "worst": self.groups[0].group,
                "p_value": self.p_value,
            },
            "undeclared": self.undeclared,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GroupScores:
        """What `to_json` gave; KeyError, TypeError or ValueError where it did not."""
        name = str(data["score"])

        def interval(row: Mapping[str, Any], clusters: int) -> Interval:
            low, high = map(float, row["ci"])
            return Interval(name, float(row["value"]), low, high, LEVEL, clusters)

        groups = tuple(
            GroupScore(
                group=str(group),
                score=interval(row, int(row["clusters"])),
                n=int(row["n"]),
                invalid_rate=float(row["invalid_rate"]),
            )
            for group, row in data["groups"].items()
        )
        gap = data["worst_gap"]
        return cls(
            column=str(data["column"]),
            groups=groups,
            gap=interval(gap, groups[0].score.clusters + groups[-1].score.clusters),
            p_value=float(gap["p_value"]),
            undeclared=int(data["undeclared"]),
            notes=tuple(map(str, data["notes"])),
        )


def by_group(
    run: Summed,
    groups: Sequence[str | None],
    clusters: Sequence[str | None] | None,
    *,
    score: str,
    column: str,
    seed: int = 0,
) -> GroupScores:
    """`score` of each group of `run`; None is a clip of no declared group.

    Each group is resampled within itself. ConfigError where fewer than two groups are declared.
    """
    if len(groups) != len(run.rows):
        raise ConfigError(f"{len(run.rows)} clips but {len(groups)} groups. Give one a clip, or None.")
    names = sorted({name for name in groups if name is not None})
    if len(names) < 2:
        raise ConfigError(
            f"column {column!r} declares {len(names)} group{'' if len(names) == 1 else 's'} "
            f"({', '.join(names) or 'none'}). A gap needs two."
        )
    statistic = run.statistics[score]
    found, draws = [], []
    for place, name in enumerate(names):
        rows = np.array([index for index, group in enumerate(groups) if group == name])
        named = None if clusters is None else [clusters[index] for index in rows]
        interval = interval_of_sums(score, run.rows[rows], statistic, named, resamples=RESAMPLES, seed=seed)
        found.append(
            GroupScore(group=name, score=interval, n=len(rows), invalid_rate=float(run.invalid[rows].mean()))
        )
        draws.append(
            draws_of_sums(run.rows[rows], statistic, named, resamples=RESAMPLES, seed=seed + 1 + place)
        )
    return GroupScores(
        column=column,
        groups=tuple(sorted(found, key=lambda each: each.score.point)),
        gap=_gap(found, np.array(draws)),
        p_value=_shuffled(run.rows, statistic, groups, names, clusters, seed),
        undeclared=sum(group is None for group in groups),
        notes=_notes(found),
    )


def _gap(found: Sequence[GroupScore], draws: Floats) -> Interval:
    """Best minus worst: which two these are is settled by the points, not anew in each draw. Of equal ones
    the first and the last are taken, as a group has no gap to itself."""
    points = [each.score.point for each in found]
    best, worst = int(np.argmax(points)), len(points) - 1 - int(np.argmin(points[::-1]))
    spread = draws[best] - draws[worst]
    low, high = np.quantile(spread, [0.025, 0.975])
    return replace(
        found[best].score,
        point=points[best] - points[worst],
        low=float(low),
        high=float(high),
        clusters=found[best].score.clusters + found[worst].score.clusters,
    )


def _shuffled(
    rows: Floats,
    statistic: Statistic,
    groups: Sequence[str | None],
    names: Sequence[str],
    clusters: Sequence[str | None] | None,
    seed: int,
) -> float:
    """The permutation p-value of the worst gap; what is shuffled are clusters within groups."""
    kept = [place for place, group in enumerate(groups) if group is not None]
    codes = cluster_codes(len(rows), clusters)
    units = {unit: index for index, unit in enumerate(dict.fromkeys((groups[p], codes[p]) for p in kept))}
    tables = np.zeros((len(units), *rows.shape[1:]))
    np.add.at(tables, [units[groups[place], codes[place]] for place in kept], rows[kept])
    flat = tables.reshape(len(units), -1)
    membership = np.array([[unit[0] == name for unit in units] for name in names], np.float64)
    rng = np.random.default_rng(seed)

    def worst(order: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        sums = (membership[:, order] @ flat).reshape(len(names), *rows.shape[1:])
        scores = statistic(sums)
        return float(scores.max() - scores.min())

    observed = worst(np.arange(len(units)))
    beyond = sum(worst(rng.permutation(len(units))) >= observed - 1e-12 for _ in range(SHUFFLES))
    return (beyond + 1) / (SHUFFLES + 1)


def few_speakers(clusters: int) -> str:
    """What is said of an interval over so few speakers; nothing where they are enough."""
    if clusters >= FEW_CLUSTERS:
        return ""
    return f"{clusters} speakers: these intervals say little about other people."


def _notes(found: Sequence[GroupScore]) -> tuple[str, ...]:
    thin = [each.group for each in found if each.score.clusters < FEW_CLUSTERS]
    if not thin:
        return ()
    return (
        f"fewer than {FEW_CLUSTERS} speakers in {', '.join(thin)}: these intervals say little about other "
        "people of the group.",
    )
