"""Rows of a token budget: which items stand in which row, from their lengths alone.

An item is what may not be torn apart: a clip's examples. Knows counts; no text, clip or tensor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from emo.llm.packing.balance import shares

AHEAD = 48  # items looked at to fill the end of a row
OPEN = 4  # a row is closed from that window once it has room for fewer than this many more items


def balanced_rows(lengths: Sequence[int], budget: int, ranks: int = 1) -> list[list[int]]:
    """All items in rows of nearly the same total, at most `budget` each, in multiples of `ranks` rows.

    As few rows as that allows; one row an item where there are fewer items than ranks. An item longer
    than `budget` raises it to its own length: an example is never cut.
    """
    budget = max(budget, *lengths)
    count = -(-sum(lengths) // budget)
    while True:
        count = min(-(-count // ranks) * ranks, len(lengths))
        rows = shares(lengths, count)
        if max(sum(lengths[place] for place in row) for row in rows) <= budget:
            return rows
        count += 1


def full_rows(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Items in rows filled up to `budget`, nearly in the order given; the last row is what remains.

    A row takes items as they come and is closed with the ones of the next few that fill it best. Sorting
    by length first, as best-fit decreasing does, fills no better and puts long answers together.
    """
    waiting = deque(range(len(lengths)))
    rows: list[list[int]] = []
    while waiting:
        row = [waiting.popleft()]
        room = budget - lengths[row[0]]
        while waiting and OPEN * lengths[waiting[0]] <= room:
            row.append(waiting.popleft())
            room -= lengths[row[-1]]
        window = list(islice(waiting, AHEAD))
        for place in fill([lengths[item] for item in window], room):
            row.append(window[place])
            waiting.remove(window[place])
        rows.append(row)
    return rows


def fill(lengths: Sequence[int], room: int) -> list[int]:
    """Places of the items whose total comes closest to `room` from below; early items where several fit.

    A bit s of `reach[n]` says that some of the first n items add up to s.
    """
    if room <= 0:
        return []
    reach = [1]
    for length in lengths:
        reach.append((reach[-1] | reach[-1] << length) & ((2 << room) - 1))
    total = reach[-1].bit_length() - 1
    chosen = []
    for place in reversed(range(len(lengths))):
        if not reach[place] >> total & 1:
            chosen.append(place)
            total -= lengths[place]
    return chosen[::-1]


def useful_share(rows: Sequence[int], budget: int) -> float:
    """Tokens in the rows (their totals) over the tokens there is room for."""
    return sum(rows) / (len(rows) * budget)
