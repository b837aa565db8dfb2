"""Batches of a stage: examples in an order of (seed, epoch), grouped so that a batch is of one length.

Knows lengths, not what they are lengths of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from numpy.random import Generator

Item = TypeVar("Item")

MEGA_BATCH = 8  # batches that are sorted by length together; more would make batches too alike


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
