"""A training stage: examples drawn by task share, batches of one length, AdamW, validation, best kept.

Trains on cached tensors and texts it is given; loads no encoder, reads no manifest, prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from emo.clip import Example
from emo.config.llm import StageConfig
from emo.evaluation.metrics import classification_scores
from emo.heads.batches import FeatureBatch, drop_modalities
from emo.llm.batches import group_by_length, in_order
from emo.llm.events import StageDone, StageEvent, StepDone, Validated
from emo.llm.examples import ClipTexts, ask, draw_epoch, generator_for, question
from emo.llm.features import Features
from emo.llm.model import EmotionLlama
from emo.llm.official_text import official_answer
from emo.llm.optimiser import CarefulStep, adamw
from emo.llm.prompts import Template
from emo.llm.schedule import WarmupCosine
from emo.llm.scoring import label_log_likelihoods
from emo.llm.splice import Spliced

VALIDATION_EPOCH = 2**31  # no training epoch gets there, so validation draws are its own and always the same
SCORING_BATCH = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What stays the same through the stages of a run.

    `valid` holds clips of other speakers than `train`; the stage keeps the weights that are best on them,
    and the last ones where `valid` is empty.
    """

    model: EmotionLlama
    features: Features
    template: Template
    labels: tuple[str, ...]
    train: Sequence[ClipTexts]
    valid: Sequence[ClipTexts]
    max_answer_tokens: int | None = None
    official_text: bool = False
    seed: int = 0


def train_stage(course: Course, name: str, config: StageConfig) -> Iterator[StageEvent]:
    """Run one stage on `course.model`, in place; the model ends with the best weights.

    The same course, name and config give the same weights. ConfigError where no clip has an answer for
    the stage's tasks; NonFiniteLoss after three refused steps in a row.
    """
    model = course.model
    trained = model.trained()
    step_by = CarefulStep(adamw(trained.values(), config), config.clip_norm)
    rate = WarmupCosine(config.peak_lr, config.min_lr, config.warmup_lr, config.warmup_steps, config.steps)
    batches = _endless(course, config)
    best = _Best()
    for step in range(config.steps):
        micro = [next(batches) for _ in range(config.accumulate)]
        yield _train_step(course, name, config, step, micro, step_by, rate(step))
        every = config.validate_every
        if course.valid and (step + 1 == config.steps or (every and (step + 1) % every == 0)):
            loss, score = validate(course, config)
            kept = best.offer(step + 1, loss, score, trained)
            yield Validated(name, step + 1, loss, score, kept)
    best.restore(trained)
    yield StageDone(name, config.steps, best.step or config.steps, best.score)


def _train_step(
    course: Course,
    name: str,
    config: StageConfig,
    step: int,
    micro: Sequence[Sequence[Example]],
    step_by: CarefulStep,
    learning_rate: float,
) -> StepDone:
    """Forward and backward of the micro-batches, weighted so that they count as one large batch."""
    model = course.model.train()
    answers = [[answer_ids(course, example) for example in batch] for batch in micro]
    tokens = sum(len(ids) for batch in answers for ids in batch)
    seed = int(generator_for(course.seed, step, f"{name}/dropout").integers(2**63))
    chance = torch.Generator().manual_seed(seed)
    loss = 0.0
    with torch.random.fork_rng(devices=_devices(model)):
        torch.manual_seed(seed)
        for batch, ids in zip(micro, answers, strict=True):
            features = drop_modalities(_features(course, batch), config.modality_dropout, chance)
            prompts = [ask(course.template, example) for example in batch]
            part = model.answer_loss(model.embed(prompts, features, ids)).total / tokens
            part.backward()  # type: ignore[no-untyped-call]
            loss += float(part.detach())
    clip_ids = [example.clip_id for batch in micro for example in batch]
    taken, norm = step_by(loss, learning_rate, clip_ids)
    done = StepDone(name, step + 1, config.steps, loss, learning_rate, norm, tokens)
    return done if taken else replace(done, loss=np.nan, refused=tuple(clip_ids))


def _devices(model: EmotionLlama) -> list[int]:
    index = model.device.index
    return [] if model.device.type == "cpu" or index is None else [index]


def _endless(course: Course, config: StageConfig) -> Iterator[list[Example]]:
    """Batches, epoch after epoch."""
    epoch = 0
    while True:
        examples = draw_epoch(course.train, config, course.labels, seed=course.seed, epoch=epoch)
        if config.group_by_length:
            rng = generator_for(course.seed, epoch, "batches")
            yield from group_by_length(examples, config.batch_size, lambda one: _length(course, one), rng)
        else:
            yield from in_order(examples, config.batch_size)
        epoch += 1


def _length(course: Course, example: Example) -> int:
    """Text tokens of an example: the slots add the same to nearly all of them."""
    codec = course.model.codec
    prompt = ask(course.template, example)
    text = sum(len(codec.segment(part)) for part in prompt if isinstance(part, str))
    return text + len(answer_ids(course, example))


def answer_ids(course: Course, example: Example) -> tuple[int, ...]:
    """Token ids of an example's answer, its end among them."""
    text = official_answer(example.answer) if course.official_text else example.answer
    return course.model.codec.answer(text, limit=course.max_answer_tokens)


def _features(course: Course, batch: Sequence[Example]) -> FeatureBatch:
    return course.features.read([example.clip_id for example in batch])


@torch.no_grad()
def validate(course: Course, config: StageConfig) -> tuple[float, float | None]:
    """Loss per supervised token on the validation clips, and weighted F1 of their scored labels.

    F1 is None where no validation clip has a label.
    """
    model = course.model.eval()
    examples = draw_epoch(course.valid, config, course.labels, seed=course.seed, epoch=VALIDATION_EPOCH)
    total, tokens = 0.0, 0
    for batch in in_order(examples, config.batch_size):
        loss = model.answer_loss(_spliced(course, batch))
        total, tokens = total + float(loss.total), tokens + loss.tokens
    return total / tokens, _label_score(course)


def _spliced(course: Course, batch: Sequence[Example]) -> Spliced:
    prompts = [ask(course.template, example) for example in batch]
    return course.model.embed(prompts, _features(course, batch), [answer_ids(course, one) for one in batch])


def _label_score(course: Course) -> float | None:
    labelled = [clip for clip in course.valid if clip.label in course.labels]
    if not labelled:
        return None
    predicted: list[str | None] = []
    for clips in in_order(labelled, SCORING_BATCH):
        prompts = [ask(course.template, question(clip, "emotion", course.labels)) for clip in clips]
        features = course.features.read([clip.clip_id for clip in clips])
        scores = label_log_likelihoods(course.model, prompts, features, course.labels)
        predicted += [course.labels[place] for place in scores.argmax(dim=1).tolist()]
    truth = [clip.label for clip in labelled]
    return classification_scores(truth, predicted, course.labels).weighted_f1


class _Best:
    """The trained weights that were best on validation so far: by F1, then by loss."""

    def __init__(self) -> None:
        self.step = 0
        self.score: float | None = None
        self._rank = (-np.inf, -np.inf)
        self._weights: dict[str, torch.Tensor] = {}

    def offer(
        self, step: int, loss: float, score: float | None, trained: dict[str, torch.nn.Parameter]
    ) -> bool:
        """Keep a copy of `trained` where it beats what is kept."""
        rank = (0.0 if score is None else score, -loss)
        if not rank > self._rank:
            return False
        self.step, self.score, self._rank = step, score, rank
        self._weights = {name: value.detach().cpu().clone() for name, value in trained.items()}
        return True

    @torch.no_grad()
    def restore(self, trained: dict[str, torch.nn.Parameter]) -> None:
        """Write the kept weights back; nothing where none were kept."""
        for name, value in self._weights.items():
            trained[name].copy_(value)
