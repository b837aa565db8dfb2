"""A training stage: steps of a plan, AdamW, validation, best kept.

Trains on cached tensors and texts it is given; loads no encoder, reads no manifest, writes no file,
prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from math import inf, nan
from typing import cast

from emo.config.llm import StageConfig
from emo.llm.parts import freeze
from emo.llm.sharding import whole
from emo.llm.training.ahead import reading_ahead
from emo.llm.training.course import Course
from emo.llm.training.distributed import Turn
from emo.llm.training.events import StageDone, StageEvent, StepDone, Validated
from emo.llm.training.forward import Moment, answer_tokens, micro_loss
from emo.llm.training.optimiser import CarefulStep, adamw
from emo.llm.training.plan import Cursor, Micro, Step, micro_lengths, steps_from
from emo.llm.training.schedule import WarmupCosine
from emo.llm.training.state import Progress, StageState, moments, restore_moments, restore_weights
from emo.llm.training.stopping import Stop
from emo.llm.training.validation import Best, validate


def train_stage(course: Course, name: str, config: StageConfig) -> Iterator[StageEvent]:
    """Run one stage on `course.model` from its start, in place; the model ends with the best weights.

    The same course, name and config give the same weights. ConfigError where no clip has an answer for
    the stage's tasks; NonFiniteLoss after three refused steps in a row.
    """
    return StageTraining(course, name, config).events()


class StageTraining:
    """A stage under way. Whenever it has given an event it stands between two pieces of work, and `state`
    is all that another StageTraining needs to go on: the events and weights to come are the same to the bit.
    """

    def __init__(self, course: Course, name: str, config: StageConfig, stop: Stop | None = None) -> None:
        self._course, self._config = course, config
        self._stop = stop or Stop()
        self._within = self._stop if course.crew.ranks == 1 else Stop()  # ranks stop together, between steps
        freeze(course.model, config.frozen)
        self._trained = course.model.trained()
        self._optimiser = adamw(self._trained.values(), config)
        self._step_by = CarefulStep(self._optimiser, config.clip_norm, course.crew)
        self._rate = WarmupCosine(
            config.peak_lr, config.min_lr, config.warmup_lr, config.warmup_steps, config.steps
        )
        self._best = Best()
        self.progress = Progress(stage=name)

    def events(self) -> Iterator[StageEvent]:
        """Train to the end, validating where it is due.

        StopAsked where the flag is set between two micro-batches or two batches of validation; what was
        begun since the last event is dropped then, and done again by whoever goes on.
        """
        config, name, course = self._config, self.progress.stage, self._course
        steps = steps_from(course, config, self.progress.cursor, course.crew.ranks)
        with closing(reading_ahead(course.features, steps, self._mine, also=course.augmented)) as plan:
            while self.owes_validation or self.progress.step < config.steps:
                self._stop_together()
                if self.owes_validation:
                    yield self._validate()
                else:
                    yield self._train_step(*next(plan))
                    self._step_by.refuse_to_go_on()
        self._best.restore(self._trained)
        kept = self._best.step or config.steps
        yield StageDone(name, config.steps, kept, self._best.score, self._doubt())

    @property
    def owes_validation(self) -> bool:
        """Whether validation comes before the next step."""
        step, every = self.progress.step, self._config.validate_every
        due = step == self._config.steps or (every > 0 and step > 0 and step % every == 0)
        return bool(self._course.valid) and due and self.progress.validated < step

    def state(self) -> StageState:
        """All that is needed to go on from here. The tensors are the live ones: write them down at once."""
        best = self._best
        return StageState(
            progress=self.progress,
            weights={name: whole(value.detach()) for name, value in self._trained.items()},
            optimiser=moments(self._optimiser, self._trained),
            best=best.weights,
            best_step=best.step,
            best_loss=best.loss if best.step else None,
            best_score=best.score,
        )

    def load(self, state: StageState) -> None:
        """Go on from `state` instead of the start; CheckpointError where it is of another model."""
        restore_weights(self._trained, state.weights)
        restore_moments(self._optimiser, self._trained, state.optimiser)
        self.progress = state.progress
        self._step_by.refused = state.progress.refused
        self._best.step, self._best.score = state.best_step, state.best_score
        self._best.loss = inf if state.best_loss is None else state.best_loss
        self._best.weights = dict(state.best)

    def _train_step(self, following: Cursor, planned: Step) -> StepDone:
        number = self.progress.step
        moment, learning_rate = Moment(self.progress.stage, number), self._rate(number)
        tokens = answer_tokens(self._course, planned)
        loss = self._add_gradients(planned, moment, tokens)
        clip_ids = tuple(example.clip_id for micro in planned for example in micro)
        taken, norm = self._step_by(loss, learning_rate, clip_ids)
        self.progress = replace(
            self.progress, step=number + 1, cursor=following, refused=self._step_by.refused
        )
        done = StepDone(moment.stage, number + 1, self._config.steps, loss, learning_rate, norm, tokens)
        return done if taken else replace(done, loss=nan, refused=clip_ids)

    def _add_gradients(self, planned: Step, moment: Moment, tokens: int) -> float:
        """Forward and backward of the micro-batches, weighted so that they count as one large batch.

        Returns the loss per token.
        """
        self._course.model.train()
        self._optimiser.zero_grad(set_to_none=True)
        crew, losses = self._course.crew, []
        for turn in self._turns(planned):
            self._within.check()
            micro = planned[turn.number]
            total = micro_loss(self._course, self._config, micro, moment, turn.number).total
            part = total / tokens * turn.counts
            part.backward()  # type: ignore[no-untyped-call]
            losses.append(part.detach())
        return crew.sum_gradients(sum(map(float, losses)), self._trained.values())

    def _turns(self, planned: Step) -> list[Turn]:
        return self._course.crew.share(len(planned), lambda: micro_lengths(self._course, planned))

    def _mine(self, planned: Step) -> list[Micro]:
        return [planned[turn.number] for turn in self._turns(planned)]

    def _stop_together(self) -> None:
        """StopAsked on every rank where any was asked to stop."""
        if self._course.crew.any(bool(self._stop.reason)):
            self._stop.ask("another rank was asked to stop")
        self._stop.check()

    def _doubt(self) -> str:
        """What is to be said against the weights that are kept, where nothing speaks for them."""
        if self._best.step or not self.progress.validated:
            return ""
        return "no validation loss was finite, so nothing was chosen: these are the last weights"

    def _validate(self) -> Validated:
        step = self.progress.step
        found = validate(self._course, self._config, self._within)
        loss, score = cast(tuple[float, float | None], tuple(self._course.crew.agreed(found)))
        kept = self._best.offer(step, loss, score, self._trained)
        self.progress = replace(self.progress, validated=step)
        return Validated(self.progress.stage, step, loss, score, kept)
