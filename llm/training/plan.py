"""The plan of a stage: which examples meet in an optimiser step, and how a step is cut into micro-batches.

A plan is a function of (seed, epoch) alone, so a run that goes on finds its place again and every rank
knows what the others do. Knows lengths and examples; moves no tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TypeAlias, TypeVar

from numpy.random import Generator

from emo.clip import Example
from emo.config.llm import StageConfig
from emo.llm.examples import generator_for
from emo.llm.mixture import draw_epoch
from emo.llm.packing.rows import balanced_rows, full_rows
from emo.llm.training.course import Course
from emo.llm.training.lengths import Ruler

Item = TypeVar("Item")
Micro: TypeAlias = tuple[Example, ...]  # examples that go through the model together
Step: TypeAlias = tuple[Micro, ...]  # micro-batches whose gradients add up to one optimiser step

MEGA_BATCH = 8  # batches that are sorted by length together; more would make batches too alike


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the plan: the next step to take is `index` of `epoch`."""

    epoch: int = 0
    index: int = 0


def steps_from(
    course: Course, config: StageConfig, cursor: Cursor, ranks: int = 1
) -> Iterator[tuple[Cursor, Step]]:
    """The steps from `cursor` on, without end, each with the place that follows it."""
    epoch, index = cursor.epoch, cursor.index
    while True:
        steps = epoch_steps(course, config, epoch, ranks)
        for place in range(index, len(steps)):
            last = place + 1 == len(steps)
            yield Cursor(epoch + 1, 0) if last else Cursor(epoch, place + 1), steps[place]
        epoch, index = epoch + 1, 0


def epoch_steps(course: Course, config: StageConfig, epoch: int, ranks: int = 1) -> list[Step]:
    """All steps of an epoch, in order. A step's micro-batches come in multiples of `ranks` where it has
    enough clips; which clips meet in a step is the same for any number of ranks."""
    examples = draw_epoch(course.train, config, course.labels, seed=course.seed, epoch=epoch)
    groups = _by_clip(examples)
    ruler = Ruler(course, [group[0].clip_id for group in groups])
    if config.layout == "padded":
        rng = generator_for(course.seed, epoch, "batches")
        batches = group_by_length(groups, config.batch_size, ruler, rng)
        return [
            tuple(_flat(batch[start::ranks]) for start in range(min(ranks, len(batch)))) for batch in batches
        ]
    lengths = [ruler(group) for group in groups]
    return [
        tuple(_flat([groups[place] for place in row]) for row in step)
        for step in _packed_steps(lengths, config, ranks)
    ]


def micro_lengths(course: Course, step: Step) -> list[int]:
    """Tokens of each micro-batch of a step, shared prefixes counted once."""
    ruler = Ruler(course, [example.clip_id for micro in step for example in micro])
    return [sum(map(ruler, _by_clip(micro))) for micro in step]


def _packed_steps(lengths: Sequence[int], config: StageConfig, ranks: int) -> Iterator[list[list[int]]]:
    """Places of the clips by step and row: `batch_size` clips a step, or `rows_per_step` full rows and then
    one step of what remains."""
    remaining = in_order(range(len(lengths)), config.batch_size)
    if config.rows_per_step:
        rows = full_rows(lengths, config.row_tokens)
        full = (len(rows) - 1) // config.rows_per_step * config.rows_per_step
        yield from in_order(rows[:full], config.rows_per_step)
        remaining = iter([sorted(chain(*rows[full:]))])
    for places in remaining:
        cut = balanced_rows([lengths[place] for place in places], config.row_tokens, ranks)
        yield [[places[place] for place in row] for row in cut]


def _by_clip(examples: Sequence[Example]) -> list[Micro]:
    """Neighbours about one clip together."""
    return [tuple(group) for _, group in groupby(examples, key=lambda one: one.clip_id)]


def _flat(groups: Sequence[Micro]) -> Micro:
    return tuple(chain(*groups))


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
