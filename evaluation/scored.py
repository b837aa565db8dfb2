"""Predictions of one system on some clips, with their scores and the interval of the weighted F1.

Takes labels and speakers, never models. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emo.evaluation.intervals import Interval, bootstrap_interval
from emo.evaluation.metrics import Scores, classification_scores


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """Answers beside the truth; `interval` is a bootstrap over `speakers` (each clip its own where None).

    An answer of None named no label of `labels`; it counts as wrong.
    """

    truth: tuple[str, ...]
    predicted: tuple[str | None, ...]
    speakers: tuple[str | None, ...]
    labels: tuple[str, ...]
    scores: Scores
    interval: Interval

    def to_json(self) -> dict[str, object]:
        """Scores by their names, n and, as `ci`, the 95 % interval of the weighted F1 over `clusters`."""
        return {
            **self.scores.to_json(),
            "ci": [self.interval.low, self.interval.high],
            "clusters": self.interval.clusters,
        }


def score(
    truth: Sequence[str],
    predicted: Sequence[str | None],
    labels: Sequence[str],
    speakers: Sequence[str | None],
    *,
    seed: int = 0,
) -> Scored:
    """Scores and interval; `seed` is the bootstrap's. ConfigError where lengths or labels disagree."""
    return Scored(
        truth=tuple(truth),
        predicted=tuple(predicted),
        speakers=tuple(speakers),
        labels=tuple(labels),
        scores=classification_scores(truth, predicted, labels),
        interval=bootstrap_interval(truth, predicted, labels, speakers, seed=seed),
    )
