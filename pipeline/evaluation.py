"""Evaluation of a trained system on labelled clips: scores, calibration, and what refusing would save.

Takes what `systems` say to `evaluation`, and asks again what published recipes asked. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from emo.clip import Clip
from emo.config.decoding import Decoding
from emo.errors import ConfigError
from emo.evaluation.calibration import CalibrationScores, calibration_scores
from emo.evaluation.groups import GroupScores, by_group
from emo.evaluation.intervals import Interval, bootstrap_interval
from emo.evaluation.mer2023 import labels_only, mer2023
from emo.evaluation.published import EvaluationRecipe, Expected
from emo.evaluation.scored import Scored, score
from emo.evaluation.selective import RiskCoverage, risk_coverage
from emo.evaluation.summed import Measured, measured
from emo.heads.loader import FeatureSpace
from emo.labels import parse_label
from emo.llm.generation import generate
from emo.llm.official.text import official_label
from emo.llm.prompts import instruction, task_named, template_named
from emo.pipeline.answers import Answer
from emo.pipeline.score import labels_of, score_answers
from emo.pipeline.systems import LlamaSystem, System, answer_all, batches


@dataclass(frozen=True, slots=True)
class Groups:
    """What each of the clips was declared to be in a `column`, None where nothing was."""

    column: str
    of_clips: Sequence[str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Answers on labelled clips with every score.

    `overall` are weighted F1, UAR and WAR with an interval each. `scored` counts every answer as it was said;
    `groups` are its UAR by declared group, where one was asked for. `answered` are the scores of the answers
    that are at least `threshold` sure, None where there is no threshold or none is; `coverage` is their
    share. `combined` is MER2023's score of label and valence, of the clips whose valence is known, None where
    none is or the system gives none.
    """

    clips: Sequence[Clip]
    answers: Sequence[Answer]
    scored: Scored
    overall: Measured
    calibration: CalibrationScores
    risk: RiskCoverage
    threshold: float
    coverage: float
    answered: Scored | None
    groups: GroupScores | None = None
    combined: Measured | None = None

    def to_json(self) -> dict[str, object]:
        """Every score by its name."""
        withheld = None
        if self.threshold:
            scores = self.answered.to_json() if self.answered else None
            withheld = {"threshold": self.threshold, "coverage": self.coverage, "scores": scores}
        return {
            **self.scored.to_json(),
            "scores": self.overall.to_json()["scores"],
            "calibration": self.calibration.to_json(),
            "risk_coverage": self.risk.to_json(),
            "abstain_below": withheld,
            "groups": self.groups.to_json() if self.groups else None,
            "combined": self.combined.to_json() if self.combined else None,
        }


def evaluate(
    system: System,
    clips: Sequence[Clip],
    spaces: Mapping[str, FeatureSpace],
    *,
    abstain_below: float = 0.0,
    groups: Groups | None = None,
    valences: Mapping[str, float] = MappingProxyType({}),
    seed: int = 0,
) -> Evaluation:
    """Ask `system` about `clips` and score what it says; `seed` is the bootstrap's, `valences` the truth of
    some clips by id.

    ConfigError where a clip has no label, or one that the system does not know, or fewer than two groups.
    """
    labels_of(clips)
    answers = list(answer_all(system, clips, spaces, reasons=False))
    scored = score_answers(clips, answers, system.labels, seed=seed)
    summed = labels_only(scored.truth, scored.predicted, scored.labels)
    shares = np.array([[answer.probabilities[name] for name in system.labels] for answer in answers])
    confidence = [answer.confidence for answer in answers]
    wrong = [answer.label != clip.label for clip, answer in zip(clips, answers, strict=True)]
    sure = [place for place, value in enumerate(confidence) if value >= abstain_below]
    answered = None
    if abstain_below and sure:
        chosen = [clips[place] for place in sure]
        answered = score_answers(chosen, [answers[place] for place in sure], system.labels, seed=seed)
    return Evaluation(
        clips=clips,
        answers=answers,
        scored=scored,
        overall=measured(summed, scored.speakers, seed=seed),
        calibration=calibration_scores(shares, scored.truth, system.labels, scored.speakers, seed=seed),
        risk=risk_coverage(confidence, wrong, scored.speakers, seed=seed),
        threshold=abstain_below,
        coverage=len(sure) / len(clips),
        answered=answered,
        groups=by_group(
            summed, groups.of_clips, scored.speakers, score="uar", column=groups.column, seed=seed
        )
        if groups
        else None,
        combined=_combined(clips, answers, system.labels, valences, seed) if system.gives_valence else None,
    )


def _combined(
    clips: Sequence[Clip],
    answers: Sequence[Answer],
    labels: Sequence[str],
    valences: Mapping[str, float],
    seed: int,
) -> Measured | None:
    known = [place for place, clip in enumerate(clips) if clip.clip_id in valences]
    if not known:
        return None
    some, said = [clips[place] for place in known], [answers[place] for place in known]
    summed = mer2023(
        labels_of(some),
        [answer.label for answer in said],
        labels,
        [valences[clip.clip_id] for clip in some],
        [answer.valence for answer in said],
    )
    return measured(summed, [clip.speaker for clip in some], seed=seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A published figure beside the one that was got."""

    expected: Expected
    got: Interval

    @property
    def inside(self) -> bool:
        """Whether the published figure lies in the interval of the one that was got."""
        return self.got.low <= self.expected.value <= self.got.high


@dataclass(frozen=True, kw_only=True, slots=True)
class Reproduction:
    """A published recipe asked again.

    `said` are the answers as text. `strict` counts an answer without a label as wrong; `official` reads
    the last word and turns an unknown one into "neutral", and is None where the recipe does not read so.
    `notes` say what differs from the published set.
    """

    recipe: EvaluationRecipe
    clips: Sequence[Clip]
    said: Sequence[str]
    strict: Scored
    official: Scored | None
    compared: tuple[Compared, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Expected against got, and the scores of both readings."""
        return {
            "recipe": self.recipe.name,
            "reading": self.recipe.reading,
            "compared": [
                {
                    "metric": each.expected.metric,
                    "expected": each.expected.value,
                    "weights": each.expected.weights,
                    "source": each.expected.source,
                    "got": each.got.point,
                    "ci": [each.got.low, each.got.high],
                    "inside": each.inside,
                }
                for each in self.compared
            ],
            "strict": self.strict.to_json(),
            "official": self.official.to_json() if self.official else None,
            "notes": list(self.notes),
        }


def reproduce(
    system: System,
    recipe: EvaluationRecipe,
    clips: Sequence[Clip],
    spaces: Mapping[str, FeatureSpace],
    *,
    seed: int = 0,
) -> Reproduction:
    """Ask `system` about `clips` as `recipe` says, greedily, and read the answers in both ways.

    ConfigError where the system generates no text, or a clip has no label of the recipe.
    """
    if not isinstance(system, LlamaSystem):
        raise ConfigError(f"{recipe.name} reads generated answers, a head gives none. Name a LLaMA stage.")
    truth, speakers = labels_of(clips), [clip.speaker for clip in clips]
    said = _said(system, recipe, clips, spaces)
    read = [parse_label(text, recipe.labels) for text in said]
    strict = score(truth, read, recipe.labels, speakers, seed=seed)
    official = None
    if recipe.reading == "official":
        repaired = [official_label(text) for text in said]
        official = score(truth, repaired, recipe.labels, speakers, seed=seed)
    return Reproduction(
        recipe=recipe,
        clips=clips,
        said=said,
        strict=strict,
        official=official,
        compared=tuple(_compared(each, official or strict, seed) for each in recipe.expected),
        notes=(*_differences(recipe, truth), *recipe.notes),
    )


def _said(
    system: LlamaSystem, recipe: EvaluationRecipe, clips: Sequence[Clip], spaces: Mapping[str, FeatureSpace]
) -> list[str]:
    template = template_named(recipe.template, system.card.config.slots)
    task = task_named("emotion")
    words = instruction(task, recipe.asked)
    decoding = Decoding(max_new_tokens=recipe.max_new_tokens)
    said: list[str] = []
    for part, batch in batches(system, clips, spaces):
        prompts = [
            template.prompt(text=system.texts(clip).text, tag=task.tag, instruction=words) for clip in part
        ]
        said += generate(system.model, prompts, batch, decoding)
    return said


def _compared(expected: Expected, scored: Scored, seed: int) -> Compared:
    got = bootstrap_interval(
        scored.truth, scored.predicted, scored.labels, scored.speakers, metric=expected.metric, seed=seed
    )
    return Compared(expected=expected, got=got)


def _differences(recipe: EvaluationRecipe, truth: Sequence[str]) -> list[str]:
    """What these clips are not that the published ones were."""
    notes = []
    if recipe.n and len(truth) != recipe.n:
        notes.append(f"{len(truth)} clips here, {recipe.n} behind the published figure: not comparable.")
    counts = {label: truth.count(label) for label in recipe.support}
    if len(truth) == recipe.n and counts != dict(recipe.support):
        notes.append(f"the classes differ: {counts} here, {dict(recipe.support)} published.")
    return notes
