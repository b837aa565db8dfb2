"""Trained systems behind one face: a head and a LLaMA stage both turn cached features into answers.

Knows what a trained folder holds and which features it needs; extracts nothing and scores nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from emo.clip import Clip
from emo.errors import CheckpointError
from emo.heads.batches import FeatureBatch, Source, shuffled
from emo.heads.loader import FeatureSpace, load_features
from emo.heads.trained import CARD as HEAD_CARD
from emo.heads.trained import TrainedHead
from emo.labels import parse_label
from emo.llm.checkpoint import CARD as LLM_CARD
from emo.llm.checkpoint import load_checkpoint
from emo.llm.examples import ClipTexts, ask, question
from emo.llm.generation import generate
from emo.llm.model import EmotionLlama
from emo.llm.prompts import Template, template_named
from emo.llm.scoring import label_log_likelihoods

ANSWER_BATCH = 32
LABEL_TOKENS = 12
REASON_TOKENS = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a system says of a clip.

    `label` is None where a generated answer named no label of the set; it is never repaired into one.
    `probabilities` are over the label set; `text` is the reasoning, generated after the label; `features`
    were used, `missing` were not to be had.
    """

    clip_id: str
    label: str | None
    probabilities: Mapping[str, float]
    text: str = ""
    features: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def explained(self) -> str:
        """The label that the reasons are about: the one that was said, else the likeliest."""
        return self.label or max(self.probabilities, key=lambda label: self.probabilities[label])

    def to_json(self) -> dict[str, Any]:
        """The object that `emo predict --json` prints on a line."""
        return asdict(self)


class System(Protocol):
    """A trained model: the labels it knows, the features it needs by name, and its answers."""

    labels: tuple[str, ...]
    sources: Mapping[str, Source]

    def answers(
        self, clips: Sequence[Clip], batch: FeatureBatch, *, reasons: bool = True
    ) -> Iterator[Answer]:
        """One answer a clip, in order; `batch` holds the features of just these clips."""


class HeadSystem:
    """A trained classifier head: labels and probabilities, no words."""

    def __init__(self, head: TrainedHead) -> None:
        self.labels = head.labels
        self.sources: Mapping[str, Source] = head.sources
        self._head = head

    def answers(
        self, clips: Sequence[Clip], batch: FeatureBatch, *, reasons: bool = True
    ) -> Iterator[Answer]:
        """As System; there are no reasons to give. StaleCache where features are of another recipe."""
        rows = self._head.probabilities(batch).numpy()
        for place, clip in enumerate(clips):
            yield Answer(
                clip_id=clip.clip_id,
                label=self.labels[int(rows[place].argmax())],
                probabilities=_shares(self.labels, rows[place]),
                features=_having(batch, place, True),
                missing=_having(batch, place, False),
            )


class LlamaSystem:
    """A trained LLaMA stage: it says a label, and then why."""

    def __init__(
        self,
        model: EmotionLlama,
        labels: tuple[str, ...],
        template: Template,
        sources: Mapping[str, Source],
    ) -> None:
        self.labels = labels
        self.sources = sources
        self._model = model.eval()
        self._template = template

    def answers(
        self, clips: Sequence[Clip], batch: FeatureBatch, *, reasons: bool = True
    ) -> Iterator[Answer]:
        """As System. The label is generated and read strictly; the probabilities are scored."""
        for start in range(0, len(clips), ANSWER_BATCH):
            places = range(start, min(start + ANSWER_BATCH, len(clips)))
            yield from self._some([clips[place] for place in places], batch.take(list(places)), reasons)

    def _some(self, clips: Sequence[Clip], batch: FeatureBatch, reasons: bool) -> Iterator[Answer]:
        texts = [ClipTexts(clip_id=clip.clip_id, text=clip.text) for clip in clips]
        prompts = [ask(self._template, question(each, "emotion", self.labels)) for each in texts]
        shares = label_log_likelihoods(self._model, prompts, batch, self.labels).softmax(1).numpy()
        said = generate(self._model, prompts, batch, LABEL_TOKENS)
        labels = [parse_label(text, self.labels) for text in said]
        likeliest = [self.labels[int(place)] for place in shares.argmax(axis=1)]
        why = [""] * len(clips)
        if reasons:
            asked = [
                ask(self._template, question(each, "explain", self.labels, label=label or fallback))
                for each, label, fallback in zip(texts, labels, likeliest, strict=True)
            ]
            why = generate(self._model, asked, batch, REASON_TOKENS)
        for place, clip in enumerate(clips):
            yield Answer(
                clip_id=clip.clip_id,
                label=labels[place],
                probabilities=_shares(self.labels, shares[place]),
                text=why[place],
                features=_having(batch, place, True),
                missing=_having(batch, place, False),
            )


def load_system(folder: Path) -> System:
    """The trained system in `folder`, whichever of the two it is. CheckpointError where it is neither."""
    if (folder / LLM_CARD).exists():
        model, card = load_checkpoint(folder)
        return LlamaSystem(model, card.config.labels, template_named(card.config.template), card.sources)
    if (folder / HEAD_CARD).exists():
        return HeadSystem(TrainedHead.load(folder))
    raise CheckpointError(
        f"{folder} holds neither a head nor a LLaMA stage. `emo train-head` or `emo train-llm` makes one."
    )


def answer_all(
    system: System,
    clips: Sequence[Clip],
    spaces: Mapping[str, FeatureSpace],
    *,
    reasons: bool = True,
    shuffle_seed: int | None = None,
) -> Iterator[Answer]:
    """Answers for `clips` from their cached features, by feature name.

    With `shuffle_seed` each clip gets another clip's features: the control a working system must fail on.
    """
    arrays = {name: source.array for name, source in system.sources.items()}
    batch = load_features(spaces, [clip.clip_id for clip in clips], arrays, missing_ok=True)
    if shuffle_seed is not None:
        batch = shuffled(batch, np.random.default_rng(shuffle_seed))
    yield from system.answers(clips, batch, reasons=reasons)


def _shares(labels: Sequence[str], row: np.ndarray[Any, Any]) -> dict[str, float]:
    return {label: round(float(share), 6) for label, share in zip(labels, row, strict=True)}


def _having(batch: FeatureBatch, place: int, present: bool) -> tuple[str, ...]:
    """Names of the features that the clip at `place` has, or lacks."""
    return tuple(name for name, mask in batch.masks.items() if bool(mask[place]) is present)
