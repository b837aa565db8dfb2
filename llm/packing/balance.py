"""Balance: items of known lengths spread over bins of nearly the same total.

The bins are rows of a step or ranks of a run: the same question. Knows counts and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

REFINEMENTS = 64  # exchanges between the fullest and the emptiest bin; a few are enough, and it always ends


def shares(lengths: Sequence[int], ranks: int) -> list[list[int]]:
    """Places of `lengths` for each of `ranks` bins, every list ascending; the same input, the same answer.

    No bin is empty where there are at least as many items as bins. Longest first into the emptiest bin, then
    exchanges between the fullest and the emptiest while they come closer.
    """
    bins: list[list[int]] = [[] for _ in range(ranks)]
    totals = [0] * ranks
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        emptiest = min(range(ranks), key=lambda rank: (totals[rank], len(bins[rank]), rank))
        bins[emptiest].append(place)
        totals[emptiest] += lengths[place]
    for _ in range(REFINEMENTS):
        if not _exchange(lengths, bins, totals):
            break
    return [sorted(one) for one in bins]


def _exchange(lengths: Sequence[int], bins: list[list[int]], totals: list[int]) -> bool:
    """Swap the two items that bring the fullest and the emptiest bin closest; False where none does."""
    full = max(range(len(bins)), key=lambda rank: totals[rank])
    empty = min(range(len(bins)), key=lambda rank: totals[rank])
    gap = totals[full] - totals[empty]
    best, pair = gap, None
    for more in bins[full]:
        for less in bins[empty]:
            moved = lengths[more] - lengths[less]
            if 0 < moved < gap and abs(gap - 2 * moved) < best:
                best, pair = abs(gap - 2 * moved), (more, less)
    if pair is None:
        return False
    more, less = pair
    bins[full][bins[full].index(more)] = less
    bins[empty][bins[empty].index(less)] = more
    totals[full] -= lengths[more] - lengths[less]
    totals[empty] += lengths[more] - lengths[less]
    return True


def imbalance(totals: Sequence[int]) -> float:
    """Largest total over the mean: the time a step takes, over the time it would take in balance."""
    return max(totals) * len(totals) / sum(totals)
