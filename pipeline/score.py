"""Answers of a trained system for labelled clips, scored. Takes what `systems` says to `evaluation`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emo.clip import Clip
from emo.corpora.merr_files import COARSE, read_entries
from emo.corpora.rendered.clues import LEXICON, clues_of
from emo.errors import ConfigError
from emo.evaluation.reasons import ClueTruth, ReasonScores, score_reasons
from emo.evaluation.scored import Scored, score
from emo.pipeline.answers import Answer


def score_answers(
    clips: Sequence[Clip], answers: Sequence[Answer], labels: Sequence[str], *, seed: int = 0
) -> Scored:
    """Scores of `answers` for `clips`, which are in the same order. ConfigError where a clip has no label."""
    return score(
        labels_of(clips),
        [answer.label for answer in answers],
        labels,
        [clip.speaker for clip in clips],
        seed=seed,
    )


def labels_of(clips: Sequence[Clip]) -> list[str]:
    """The labels of `clips`; ConfigError where one has none."""
    unlabelled = [clip.clip_id for clip in clips if clip.label is None]
    if unlabelled:
        raise ConfigError(
            f"{len(unlabelled)} of {len(clips)} clips have no label, the first is {unlabelled[0]!r}. "
            "Add a label column to the manifest."
        )
    return [str(clip.label) for clip in clips]


def score_rendered_reasons(
    clips: Sequence[Clip], answers: Sequence[Answer], merr: Path, labels: Sequence[str], *, seed: int = 0
) -> ReasonScores:
    """Scores of the reasons in `answers` for rendered `clips`, in the same order.

    `merr` is the folder of the corpus' coarse JSON. A reason is held to the label it was asked to explain.
    ConfigError where a clip is not in that file.
    """
    known = read_entries(merr / COARSE)
    if unknown := [clip.clip_id for clip in clips if clip.clip_id not in known]:
        raise ConfigError(
            f"{merr / COARSE}: has no entry for {len(unknown)} clips, the first is {unknown[0]!r}."
        )
    truths = []
    for clip, answer in zip(clips, answers, strict=True):
        clues, also = clues_of(known[clip.clip_id])
        truths.append(ClueTruth(label=answer.explained, clues=clues, also=also))
    texts = [answer.text for answer in answers]
    return score_reasons(texts, truths, [clip.speaker for clip in clips], LEXICON, labels, seed=seed)
