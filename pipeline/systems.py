"""Trained systems behind one face: a head and a LLaMA stage both turn cached features into answers.

Knows what a trained folder holds and which features it needs; extracts nothing and scores nothing.

Axes: N clips, K labels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emo.clip import Clip
from emo.config.decoding import Decoding
from emo.config.hardware import WHOLE_BITS
from emo.errors import CheckpointError, ConfigError
from emo.evaluation.temperature import Calibration
from emo.heads.aligned import CARD as PROJECTOR_CARD
from emo.heads.aligned import AlignedProjectors
from emo.heads.batches import FeatureBatch, Source
from emo.heads.loader import FeatureSpace, load_features
from emo.heads.splits import split_clips
from emo.heads.trained import CARD as HEAD_CARD
from emo.heads.trained import TrainedHead
from emo.labels import parse_label
from emo.llm.card import CARD as LLM_CARD
from emo.llm.card import Card
from emo.llm.checkpoint import load_checkpoint
from emo.llm.examples import ClipTexts, ask, question
from emo.llm.features import slot_arrays
from emo.llm.generation import generate, stream
from emo.llm.model import EmotionLlama
from emo.llm.prefix import KeptPrefix
from emo.llm.prompts import Prompt, task_named, template_named
from emo.llm.scoring import label_log_likelihoods
from emo.llm.training.record import RECORD, RunRecord
from emo.llm.training.split import has_features
from emo.pipeline.answers import Answer
from emo.pipeline.calibration import read_calibration
from emo.pipeline.projector import other_labels
from emo.run_clips import read_run_clips

ANSWER_BATCH = 32
LABEL_TOKENS = 12
REASONS = Decoding()
NO_CALIBRATION = Calibration()


class System(Protocol):
    """A trained model: the labels it knows, the features it needs by name, and its answers.

    `gives_valence` says whether it answers with a valence too. `arrays` says which array of each feature is
    read and `dims` its D; `sources` holds the recipes of the features it was trained on, and lacks those that
    are not known, as of converted weights.
    """

    labels: tuple[str, ...]
    arrays: Mapping[str, str]
    dims: Mapping[str, int]
    sources: Mapping[str, Source]
    calibration: Calibration
    gives_valence: bool

    def scores(self, clips: Sequence[Clip], batch: FeatureBatch) -> NDArray[np.float32]:
        """Logits or log-likelihoods of the labels (N, K), before calibration."""

    def answers(
        self, clips: Sequence[Clip], batch: FeatureBatch, *, reasons: bool = True
    ) -> Iterator[Answer]:
        """One answer a clip, in order; `batch` holds the features of just these clips."""

    def validation(self, clips: Sequence[Clip], spaces: Mapping[str, FeatureSpace]) -> tuple[Clip, ...]:
        """The clips among `clips` on which its training made its choices."""


class HeadSystem:
    """A trained classifier head, or aligned projectors: labels, their probabilities, perhaps a valence."""

    def __init__(
        self,
        head: TrainedHead | AlignedProjectors,
        calibration: Calibration = NO_CALIBRATION,
        *,
        force: bool = False,
        validated_on: Collection[str] = (),
    ) -> None:
        self.labels = head.labels
        self.dims: Mapping[str, int] = head.dims
        self.sources: Mapping[str, Source] = head.sources
        self.arrays: Mapping[str, str] = {name: source.array for name, source in head.sources.items()}
        self.calibration = calibration
        self.gives_valence = isinstance(head, TrainedHead) and head.config.valence > 0
        self._head, self._force = head, force
        self._validated_on = frozenset(validated_on)

    def scores(self, clips: Sequence[Clip], batch: FeatureBatch) -> NDArray[np.float32]:
        """As System. StaleCache where features are of another recipe."""
        rows: NDArray[np.float32] = self._head.logits(batch, force=self._force).numpy()
        return rows

    def answers(
        self, clips: Sequence[Clip], batch: FeatureBatch, *, reasons: bool = True
    ) -> Iterator[Answer]:
        """As System; there are no reasons to give. StaleCache as `scores`."""
        rows = self.calibration.probabilities(self.scores(clips, batch))
        valences = self._valences(batch)
        for place, clip in enumerate(clips):
            label = self.labels[int(rows[place].argmax())]
            answer = _answer(clip, label, self.labels, rows[place], batch, place)
            yield replace(answer, valence=valences[place])

    def _valences(self, batch: FeatureBatch) -> Sequence[float | None]:
        if self.gives_valence and isinstance(self._head, TrainedHead):
            return self._head.valences(batch, force=self._force)
        return [None] * len(batch.clip_ids)

    def validation(self, clips: Sequence[Clip], spaces: Mapping[str, FeatureSpace]) -> tuple[Clip, ...]:
        """As System: those written down beside the head, else the split that its seed makes of `clips`."""
        if self._validated_on:
            return tuple(clip for clip in clips if clip.clip_id in self._validated_on)
        config = self._head.config
        return split_clips(clips, val_share=config.val_share, seed=config.seed).val


class LlamaSystem:
    """A trained LLaMA stage: it says a label, and then why. `decoding` is that of the reasons.

    A model that was never taught to explain a label that is given is asked the open question instead.
    """

    gives_valence = False

    def __init__(
        self,
        model: EmotionLlama,
        card: Card,
        calibration: Calibration = NO_CALIBRATION,
        *,
        decoding: Decoding = REASONS,
        validated_on: Collection[str] = (),
    ) -> None:
        self.labels = card.config.labels
        self.dims = card.dims
        self.sources = card.sources
        self.arrays: Mapping[str, str] = slot_arrays(tuple(card.dims), card.config.arrays) | {
            name: source.array for name, source in card.sources.items()
        }
        self.calibration = calibration
        self.model, self.card = model.eval(), card
        self.template = template_named(card.config.template, card.config.slots)
        self._decoding = decoding
        self._validated_on = frozenset(validated_on)
        trained = {task for stage in card.config.stages.values() for task in stage.tasks}
        self._reasoning = "explain" if "explain" in trained else "reason"

    def scores(self, clips: Sequence[Clip], batch: FeatureBatch) -> NDArray[np.float32]:
        """As System."""
        found = label_log_likelihoods(self.model, self.questions(clips), batch, self.labels)
        rows: NDArray[np.float32] = found.cpu().numpy()
        return rows

    def answers(
        self, clips: Sequence[Clip], batch: FeatureBatch, *, reasons: bool = True
    ) -> Iterator[Answer]:
        """As System. The label is generated greedily and read strictly; the probabilities are scored."""
        rows = self.calibration.probabilities(self.scores(clips, batch))
        decoding = Decoding(max_new_tokens=LABEL_TOKENS)
        said = generate(self.model, self.questions(clips), batch, decoding)
        answers = [
            _answer(clip, parse_label(said[place], self.labels), self.labels, rows[place], batch, place)
            for place, clip in enumerate(clips)
        ]
        if reasons:
            asked = [self._why(clip, answer) for clip, answer in zip(clips, answers, strict=True)]
            texts = generate(self.model, asked, batch, self._decoding)
            answers = [replace(answer, text=text) for answer, text in zip(answers, texts, strict=True)]
        yield from answers

    def reason_pieces(self, clip: Clip, batch: FeatureBatch, answer: Answer) -> Iterator[str]:
        """The reason for `answer`, in pieces as they are generated; `batch` is of this clip alone."""
        yield from stream(self.model, self._why(clip, answer), batch, self._decoding)

    def prefix(self, batch: FeatureBatch) -> KeptPrefix:
        """What every question about a clip begins with, read once; `batch` is of this clip alone."""
        return KeptPrefix(self.model, self.template.head, batch)

    def reason_after(self, prefix: KeptPrefix, clip: Clip, answer: Answer) -> Iterator[str]:
        """As `reason_pieces`, from the clip's prefix."""
        yield from prefix.stream(self._why(clip, answer), self._decoding)

    def answer_after(self, prefix: KeptPrefix, clip: Clip, asked: str) -> Iterator[str]:
        """The answer, in pieces, to a question in a user's words, asked as the reasoning question is."""
        text = self.texts(clip).text
        prompt = self.template.prompt(text=text, tag=task_named("reason").tag, instruction=asked)
        yield from prefix.stream(prompt, self._decoding)

    def questions(self, clips: Sequence[Clip], task: str = "emotion") -> list[Prompt]:
        """The prompts that ask for the label of each clip, or another `task` that states no label."""
        return [ask(self.template, question(self.texts(clip), task, self.labels)) for clip in clips]

    def texts(self, clip: Clip) -> ClipTexts:
        """The words of a clip, where the model was trained with words."""
        return ClipTexts(clip_id=clip.clip_id, text=clip.text if self.card.config.text else "")

    def _why(self, clip: Clip, answer: Answer) -> Prompt:
        asked = question(self.texts(clip), self._reasoning, self.labels, label=answer.explained)
        return ask(self.template, asked)

    def validation(self, clips: Sequence[Clip], spaces: Mapping[str, FeatureSpace]) -> tuple[Clip, ...]:
        """As System: those written down beside the run, else the split that its seed makes of `clips`."""
        if self._validated_on:
            return tuple(clip for clip in clips if clip.clip_id in self._validated_on)
        usable = [clip for clip in clips if has_features(clip, spaces)]
        return split_clips(usable, val_share=self.card.config.val_share, seed=self.card.seed).val


def load_system(
    folder: Path,
    *,
    base: str | None = None,
    force: bool = False,
    calibrated: bool = True,
    decoding: Decoding = REASONS,
    labels: Sequence[str] = (),
    head: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    bits: int = WHOLE_BITS,
) -> System:
    """The trained system in `folder`, whichever of the three it is, with its calibration where it has one.

    `base` says where the LLaMA is now; `force` accepts another one, and features of another recipe;
    `calibrated` off leaves scores as the model gives them. `labels` are another label set than it was trained
    on, uncalibrated: aligned projectors know every word of their LLaMA. `head` names, as `module:Class`, the
    code of a head that is not of emo: it is imported only so. `bits` 8 or 4 quantise the LLaMA's layers
    (bitsandbytes).
    CheckpointError where the folder is none or has no weights yet, or raised by what is loaded; ConfigError
    for `labels` or a `head` of another system and for `bits` of one without a LLaMA.
    """
    if head is not None and not (folder / HEAD_CARD).exists():
        raise ConfigError(f"{folder} holds no classifier head. Leave out --head.")
    if bits != WHOLE_BITS and any((folder / card).exists() for card in (PROJECTOR_CARD, HEAD_CARD)):
        raise ConfigError(f"{folder} has no LLaMA that could be of {bits} bits. Leave out --bits.")
    validated_on = read_run_clips(folder).get("val", ())
    if (folder / PROJECTOR_CARD).exists():
        projectors, found = AlignedProjectors.load(folder), NO_CALIBRATION
        if labels and tuple(labels) != projectors.labels:
            projectors = other_labels(projectors, labels, base, force=force)
        elif calibrated:
            found = read_calibration(folder, projectors.labels)
        return HeadSystem(projectors, found, force=force, validated_on=validated_on)
    if labels:
        raise ConfigError(f"{folder} answers with the labels it was trained on. Leave out --labels.")
    if (folder / LLM_CARD).exists():
        model, card = load_checkpoint(folder, base=base, force=force, device=device, dtype=dtype, bits=bits)
        found = read_calibration(folder, card.config.labels) if calibrated else NO_CALIBRATION
        return LlamaSystem(model, card, found, decoding=decoding, validated_on=validated_on)
    if (folder / HEAD_CARD).exists():
        trained = TrainedHead.load(folder, head=head)
        found = read_calibration(folder, trained.labels) if calibrated else NO_CALIBRATION
        return HeadSystem(trained, found, force=force, validated_on=validated_on)
    raise CheckpointError(_why_nothing(folder))


def _why_nothing(folder: Path) -> str:
    if not (folder / RECORD).exists():
        return (
            f"{folder} holds neither a head, nor projectors, nor a LLaMA stage. `emo train-head`, `emo "
            "train-head projector` or `emo train-llm` makes one."
        )
    over = [str(folder / name) for name in RunRecord(folder).done]
    ready = f"its finished stages can be asked already: {', '.join(over)}" if over else "no stage is finished"
    return f"{folder} is a run that is not finished; {ready}. Run the same emo train-llm again: it goes on."


def answer_all(
    system: System,
    clips: Sequence[Clip],
    spaces: Mapping[str, FeatureSpace],
    *,
    reasons: bool = True,
    shuffle_seed: int | None = None,
) -> Iterator[Answer]:
    """Answers for `clips` from their cached features, by feature name, a batch at a time.

    With `shuffle_seed` each clip gets another clip's features: the control a working system must fail on.
    """
    for part, batch in batches(system, clips, spaces, shuffle_seed=shuffle_seed):
        yield from system.answers(part, batch, reasons=reasons)


def batches(
    system: System,
    clips: Sequence[Clip],
    spaces: Mapping[str, FeatureSpace],
    *,
    shuffle_seed: int | None = None,
    size: int = ANSWER_BATCH,
) -> Iterator[tuple[Sequence[Clip], FeatureBatch]]:
    """`clips` in groups of at most `size` with the features of each, read when its turn comes.

    `shuffle_seed` as in `answer_all`: one permutation for all features.
    """
    order = np.arange(len(clips))
    if shuffle_seed is not None:
        order = np.random.default_rng(shuffle_seed).permutation(len(clips))
    for start in range(0, len(clips), size):
        part = clips[start : start + size]
        read = [clips[place].clip_id for place in order[start : start + size]]
        batch = load_features(spaces, read, system.arrays, missing_ok=True)
        yield part, replace(batch, clip_ids=tuple(clip.clip_id for clip in part))


def _answer(
    clip: Clip,
    label: str | None,
    labels: Sequence[str],
    shares: NDArray[np.float64],
    batch: FeatureBatch,
    place: int,
) -> Answer:
    probabilities = {name: float(share) for name, share in zip(labels, shares, strict=True)}
    return Answer(
        clip_id=clip.clip_id,
        label=label,
        probabilities=probabilities,
        confidence=probabilities[label] if label else 0.0,
        features=_having(batch, place, True),
        missing=_having(batch, place, False),
    )


def _having(batch: FeatureBatch, place: int, present: bool) -> tuple[str, ...]:
    """Names of the features that the clip at `place` has, or lacks."""
    return tuple(name for name, mask in batch.masks.items() if bool(mask[place]) is present)
