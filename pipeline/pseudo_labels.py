"""Pseudo-labels: which answers for clips without a label are sure enough to learn from, and why not others.

A system's threshold is the lowest confidence above which enough validation clips are answered right; test
clips are not even a parameter. Trains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from emo.canonical import Json
from emo.clip import Clip
from emo.pipeline.answers import Answer

NO_FEATURES, NO_LABEL, NO_THRESHOLD = "no_features", "no_label", "no_threshold"
UNSURE, DISAGREE, ALONE, HELD_OUT = "unsure", "disagree", "alone", "held_out_speaker"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """A clip that is not labelled in a round, and why."""

    clip_id: str
    round: int
    step: str
    reason: str
    detail: str

    def to_json(self) -> dict[str, Json]:
        """Plain JSON."""
        return dict(asdict(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """`confidence` from which a system is believed, None where none is high enough; on validation `n` clips
    reach it and a share `right` of them is answered right."""

    confidence: float | None
    n: int
    right: float

    def to_json(self) -> dict[str, Json]:
        """Plain JSON."""
        return dict(asdict(self))


def threshold_on(
    answers: Sequence[Answer], truth: Sequence[str | None], *, precision: float, least: int
) -> Threshold:
    """The lowest confidence at which a share `precision` of at least `least` validation clips is right."""
    ranked = sorted(
        ((one.confidence, one.label == label) for one, label in zip(answers, truth, strict=True)),
        key=lambda pair: -pair[0],
    )
    best = Threshold(confidence=None, n=0, right=0.0)
    right = 0
    for place, (confidence, is_right) in enumerate(ranked, start=1):
        right += is_right
        tied = place < len(ranked) and ranked[place][0] == confidence
        if not tied and place >= least and right / place >= precision:
            best = Threshold(confidence=confidence, n=place, right=right / place)
    return best


def believed(
    pool: Sequence[Clip],
    answers: Mapping[str, Sequence[Answer]],
    thresholds: Mapping[str, Threshold],
    *,
    number: int,
    step: str,
) -> tuple[dict[str, str], list[Drop]]:
    """Labels by clip id that every system gives and is sure of, and a drop for every other clip of `pool`.

    `answers` are by system, in the pool's order; `number` and `step` are written into the drops.
    """
    labels: dict[str, str] = {}
    drops = []
    for place, clip in enumerate(pool):
        said = {name: few[place] for name, few in answers.items()}
        fault = _fault(said, thresholds)
        if fault is None:
            labels[clip.clip_id] = str(next(iter(said.values())).label)
        else:
            reason, detail = fault
            drops.append(Drop(clip_id=clip.clip_id, round=number, step=step, reason=reason, detail=detail))
    return labels, drops


def _fault(said: Mapping[str, Answer], thresholds: Mapping[str, Threshold]) -> tuple[str, str] | None:
    for name, answer in said.items():
        least = thresholds[name].confidence
        if not answer.features:
            return NO_FEATURES, f"{name} had none of {', '.join(answer.missing)}"
        if answer.label is None:
            return NO_LABEL, f"{name} named no label"
        if least is None:
            return NO_THRESHOLD, f"{name} is nowhere right often enough on validation clips"
        if answer.confidence < least:
            return UNSURE, f"{name}: {answer.label} {answer.confidence:.3f} < {least:.3f}"
    if len({answer.label for answer in said.values()}) > 1:
        return DISAGREE, ", ".join(f"{name}: {answer.label}" for name, answer in said.items())
    return None


def share_right(labels: Mapping[str, str], hidden: Mapping[str, str]) -> float | None:
    """Share of `labels` that are the hidden ones, where any is known."""
    known = [hidden[clip_id] == label for clip_id, label in labels.items() if clip_id in hidden]
    return sum(known) / len(known) if known else None
