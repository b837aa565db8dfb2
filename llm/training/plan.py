"""The plan of a stage: which examples meet in an optimiser step, and how a step is cut into micro-batches.

A plan is a function of (seed, epoch) alone, so a run that goes on finds its place again and every rank
knows what the others do. Knows lengths and examples; moves no tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from numpy.random import Generator

from emo.clip import Example
from emo.config.llm import StageConfig
from emo.llm.examples import ask, generator_for
from emo.llm.mixture import draw_epoch
from emo.llm.training.course import Course

Item = TypeVar("Item")
Micro: TypeAlias = tuple[Example, ...]  # examples that go through the model together
Step: TypeAlias = tuple[Micro, ...]  # micro-batches whose gradients add up to one optimiser step

MEGA_BATCH = 8  # batches that are sorted by length together; more would make batches too alike


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the plan: the next step to take is `index` of `epoch`."""

    epoch: int = 0
    index: int = 0


def steps_from(course: Course, config: StageConfig, cursor: Cursor) -> Iterator[tuple[Cursor, Step]]:
    """The steps from `cursor` on, without end, each with the place that follows it."""
    epoch, index = cursor.epoch, cursor.index
    while True:
        steps = epoch_steps(course, config, epoch)
        for place in range(index, len(steps)):
            last = place + 1 == len(steps)
            yield Cursor(epoch + 1, 0) if last else Cursor(epoch, place + 1), steps[place]
        epoch, index = epoch + 1, 0


def epoch_steps(course: Course, config: StageConfig, epoch: int) -> list[Step]:
    """All steps of an epoch, in order."""
    examples = draw_epoch(course.train, config, course.labels, seed=course.seed, epoch=epoch)
    rng = generator_for(course.seed, epoch, "batches")
    batches = group_by_length(examples, config.batch_size, lambda one: _length(course, one), rng)
    return [(tuple(batch),) for batch in batches]


def _length(course: Course, example: Example) -> int:
    """Text tokens of an example: the slots add the same to nearly all of them."""
    codec = course.model.codec
    prompt = ask(course.template, example)
    text = sum(len(codec.segment(part)) for part in prompt if isinstance(part, str))
    return text + len(course.answer_ids(example))


def group_by_length(
    items: Sequence[Item], batch_size: int, length: Callable[[Item], int], rng: Generator
) -> Iterator[list[Item]]:
    """Full batches of `items`, whose order is taken as shuffled already; the last may be smaller.

    Within each run of MEGA_BATCH batches, items of similar length meet; the batches then come in an
    order drawn by `rng`, so that length does not rise and fall through the epoch.
    """
    span = batch_size * MEGA_BATCH
    for start in range(0, len(items), span):
        run = sorted(items[start : start + span], key=length)
        batches = [run[at : at + batch_size] for at in range(0, len(run), batch_size)]
        for place in rng.permutation(len(batches)):
            yield batches[place]


def in_order(items: Sequence[Item], batch_size: int) -> Iterator[list[Item]]:
    """Batches in the order of `items`; the last may be smaller."""
    for start in range(0, len(items), batch_size):
        yield list(items[start : start + batch_size])
