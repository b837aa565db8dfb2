"""Reading ahead: while a step computes, the features of the next ones are read. Changes nothing else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence

from emo.llm.features import Features
from emo.llm.training.forward import clips_of
from emo.llm.training.plan import Cursor, Micro, Step

STEPS_AHEAD = 2


def all_of(step: Step) -> Sequence[Micro]:
    """Every micro-batch of a step, for a run of one rank."""
    return step


def reading_ahead(
    features: Features,
    steps: Iterator[tuple[Cursor, Step]],
    mine: Callable[[Step], Sequence[Micro]] = all_of,
    *,
    also: Sequence[Features] = (),
) -> Generator[tuple[Cursor, Step], None, None]:
    """`steps` as they are, each after `features` and those in `also` were told to expect the micro-batches
    of it and of the STEPS_AHEAD that follow.

    `mine` gives the micro-batches of a step that this rank will run, in the order it will run them. Closing
    the generator ends the reading.
    """
    ring: deque[tuple[Cursor, Step]] = deque()
    try:
        for planned in steps:
            for micro in mine(planned[1]):
                for each in (features, *also):
                    each.expect(clips_of(micro))
            ring.append(planned)
            if len(ring) > STEPS_AHEAD:
                yield ring.popleft()
        yield from ring
    finally:
        for each in (features, *also):
            each.forget()
