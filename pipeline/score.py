"""Answers of a trained system for labelled clips, scored. Takes what `systems` says to `evaluation`."""

from __future__ import annotations

from collections.abc import Sequence

from emo.clip import Clip
from emo.errors import ConfigError
from emo.evaluation.scored import Scored, score
from emo.pipeline.systems import Answer


def score_answers(
    clips: Sequence[Clip], answers: Sequence[Answer], labels: Sequence[str], *, seed: int = 0
) -> Scored:
    """Scores of `answers` for `clips`, which are in the same order. ConfigError where a clip has no label."""
    unlabelled = [clip.clip_id for clip in clips if clip.label is None]
    if unlabelled:
        raise ConfigError(
            f"{len(unlabelled)} of {len(clips)} clips have no label, the first is {unlabelled[0]!r}. "
            "Add a label column to the manifest."
        )
    return score(
        [str(clip.label) for clip in clips],
        [answer.label for answer in answers],
        labels,
        [clip.speaker for clip in clips],
        seed=seed,
    )
