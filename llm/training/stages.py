"""A training stage: steps of a plan, AdamW, validation, best kept.

Trains on cached tensors and texts it is given; loads no encoder, reads no manifest, prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from emo.clip import Example
from emo.config.llm import StageConfig
from emo.evaluation.metrics import classification_scores
from emo.llm.examples import ClipTexts, ask, question
from emo.llm.mixture import draw_each, labels_of, validation_clips
from emo.llm.parts import freeze
from emo.llm.scoring import label_log_likelihoods
from emo.llm.splice import Spliced
from emo.llm.training.course import Course
from emo.llm.training.events import StageDone, StageEvent, StepDone, Validated
from emo.llm.training.forward import Moment, answer_tokens, micro_loss
from emo.llm.training.optimiser import CarefulStep, adamw
from emo.llm.training.plan import Cursor, Step, in_order, steps_from
from emo.llm.training.schedule import WarmupCosine

VALIDATION_EPOCH = 2**31  # no training epoch gets there, so validation draws are its own and always the same
SCORING_BATCH = 32


def train_stage(course: Course, name: str, config: StageConfig) -> Iterator[StageEvent]:
    """Run one stage on `course.model`, in place; the model ends with the best weights.

    The same course, name and config give the same weights. ConfigError where no clip has an answer for
    the stage's tasks; NonFiniteLoss after three refused steps in a row.
    """
    model = course.model
    freeze(model, config.frozen)
    trained = model.trained()
    step_by = CarefulStep(adamw(trained.values(), config), config.clip_norm)
    rate = WarmupCosine(config.peak_lr, config.min_lr, config.warmup_lr, config.warmup_steps, config.steps)
    plan = steps_from(course, config, Cursor())
    best = _Best()
    for step in range(config.steps):
        _, planned = next(plan)
        yield _train_step(course, config, Moment(name, step), planned, step_by, rate(step))
        every = config.validate_every
        if course.valid and (step + 1 == config.steps or (every and (step + 1) % every == 0)):
            loss, score = validate(course, config)
            kept = best.offer(step + 1, loss, score, trained)
            yield Validated(name, step + 1, loss, score, kept)
    best.restore(trained)
    yield StageDone(name, config.steps, best.step or config.steps, best.score)


def _train_step(
    course: Course,
    config: StageConfig,
    moment: Moment,
    planned: Step,
    step_by: CarefulStep,
    learning_rate: float,
) -> StepDone:
    """Forward and backward of the micro-batches, weighted so that they count as one large batch."""
    course.model.train()
    tokens = answer_tokens(course, planned)
    loss = 0.0
    for number, micro in enumerate(planned):
        part = micro_loss(course, config, micro, moment, number).total / tokens
        part.backward()  # type: ignore[no-untyped-call]
        loss += float(part.detach())
    clip_ids = [example.clip_id for micro in planned for example in micro]
    taken, norm = step_by(loss, learning_rate, clip_ids)
    done = StepDone(moment.stage, moment.step + 1, config.steps, loss, learning_rate, norm, tokens)
    return done if taken else replace(done, loss=np.nan, refused=tuple(clip_ids))


@torch.no_grad()
def validate(course: Course, config: StageConfig) -> tuple[float, float | None]:
    """Loss per supervised token on the validation clips, and weighted F1 of their scored labels.

    F1 is None where no validation clip has a label.
    """
    model = course.model.eval()
    clips = validation_clips(course.valid, config)
    examples = draw_each(clips, config, course.labels, seed=course.seed, epoch=VALIDATION_EPOCH)
    total, tokens = 0.0, 0
    for batch in in_order(examples, config.batch_size):
        loss = model.answer_loss(_spliced(course, batch))
        total, tokens = total + float(loss.total), tokens + loss.tokens
    return total / tokens, _label_score(course, clips, labels_of(config, course.labels))


def _spliced(course: Course, batch: Sequence[Example]) -> Spliced:
    prompts = [ask(course.template, example) for example in batch]
    features = course.features.read([example.clip_id for example in batch])
    return course.model.embed(prompts, features, [course.answer_ids(one) for one in batch])


def _label_score(course: Course, clips: Sequence[ClipTexts], labels: Sequence[str]) -> float | None:
    labelled = [clip for clip in clips if clip.label in labels]
    if not labelled:
        return None
    predicted: list[str | None] = []
    for batch in in_order(labelled, SCORING_BATCH):
        prompts = [ask(course.template, question(clip, "emotion", labels)) for clip in batch]
        features = course.features.read([clip.clip_id for clip in batch])
        scores = label_log_likelihoods(course.model, prompts, features, labels)
        predicted += [labels[place] for place in scores.argmax(dim=1).tolist()]
    truth = [clip.label for clip in labelled]
    return classification_scores(truth, predicted, labels).weighted_f1


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
