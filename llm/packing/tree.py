"""Rows without padding: lines of several prompts one after the other, lines of one clip as a tree.

The tasks of a clip begin with the same tokens. Those stand once, and each task's rest follows with the
positions it would have alone. Knows tokens as numbers: their vectors are the splice's business.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from emo.llm.packing.spans import Span


@dataclass(slots=True)
class Row:
    """A row as it grows: for each token its place in the pool and its position, and for whom it is visible.

    `lines` says for each line where its own part ends in the row: its answer is the end of it.
    """

    places: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


def lay_out(lines: Sequence[Sequence[int]], answers: Sequence[int], clips: Sequence[int]) -> Row:
    """`lines` as one row; neighbours with the same entry in `clips` share what they begin with.

    `answers` is the number of tokens at the end of each line that are its answer.
    """
    row = Row()
    for _, group in groupby(range(len(lines)), key=lambda number: clips[number]):
        numbers = list(group)
        prompts = [len(lines[number]) - answers[number] for number in numbers]
        _add_tree(row, [lines[number] for number in numbers], shared([lines[n] for n in numbers], prompts))
    return row


def shared(lines: Sequence[Sequence[Hashable]], prompts: Sequence[int]) -> int:
    """Tokens that all `lines` begin with; one token of every prompt is left for its own part, since it
    predicts the first token of the answer. 0 for a line alone."""
    if len(lines) < 2:
        return 0
    return next(_differences(lines, min(prompts) - 1))


def _differences(lines: Sequence[Sequence[Hashable]], most: int) -> Iterator[int]:
    first, *others = lines
    for place in range(most):
        if any(other[place] != first[place] for other in others):
            yield place
    yield max(most, 0)


def tree_length(lines: Sequence[Sequence[Hashable]], prompts: Sequence[int]) -> int:
    """Tokens that the lines of one clip take in a row."""
    return sum(map(len, lines)) - (len(lines) - 1) * shared(lines, prompts)


def _add_tree(row: Row, lines: Sequence[Sequence[int]], prefix: int) -> None:
    start = len(row.places)
    for number, line in enumerate(lines):
        first = len(row.places)
        rest = line[prefix:] if number else line
        row.places += rest
        row.positions += range(len(line) - len(rest), len(line))
        last = len(row.places)
        row.ends.append(last)
        seen = (start, start + prefix) if number and prefix else (0, 0)
        row.spans.append(Span(first, last, first, last, seen))
