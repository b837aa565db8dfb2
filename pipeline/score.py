"""A trained system on a manifest's clips: answers, and scores with an interval over speakers.

Takes what `systems` answers to what `evaluation` computes; draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emo.clip import Clip
from emo.errors import ConfigError
from emo.evaluation.intervals import Interval, bootstrap_interval
from emo.evaluation.metrics import Scores, classification_scores
from emo.pipeline.systems import Answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """Answers beside the truth, the scores, and the weighted F1's interval by bootstrap over speakers."""

    answers: tuple[Answer, ...]
    truth: tuple[str, ...]
    speakers: tuple[str | None, ...]
    labels: tuple[str, ...]
    scores: Scores
    interval: Interval

    @property
    def predicted(self) -> list[str | None]:
        """The label of each answer; None where it named none."""
        return [answer.label for answer in self.answers]

    def to_json(self) -> dict[str, Any]:
        """Scores by their names, with n and `ci`."""
        return {**self.scores.to_json(), "ci": [self.interval.low, self.interval.high]}


def score_answers(
    clips: Sequence[Clip], answers: Sequence[Answer], labels: Sequence[str], *, seed: int = 0
) -> Scored:
    """Scores of `answers` for `clips` with labels. ConfigError where a clip has none."""
    unlabelled = [clip.clip_id for clip in clips if clip.label is None]
    if unlabelled:
        raise ConfigError(
            f"{len(unlabelled)} of {len(clips)} clips have no label, the first is {unlabelled[0]!r}. "
            "Add a label column to the manifest."
        )
    truth = tuple(str(clip.label) for clip in clips)
    predicted = [answer.label for answer in answers]
    speakers = tuple(clip.speaker for clip in clips)
    return Scored(
        answers=tuple(answers),
        truth=truth,
        speakers=speakers,
        labels=tuple(labels),
        scores=classification_scores(truth, predicted, labels),
        interval=bootstrap_interval(truth, predicted, labels, speakers, seed=seed),
    )
