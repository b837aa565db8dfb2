"""Spans: which tokens of a packed row see which others, as ranges. No mask of row by row is ever made.

A plain segment is one span. A prefix tree is a span for the shared prefix with its first branch, and one more
for each further branch, which sees the prefix and itself. Knows no tokens, features or models.

Axes: S tokens of the row, R rows of queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Span:
    """Queries [first, last) see the keys of `prefix`, and of [own, stop) those up to themselves.

    The last query stands at the last key of its own, so there are at most as many queries as own keys.
    """

    first: int
    last: int
    own: int
    stop: int
    prefix: tuple[int, int] = (0, 0)

    @property
    def shared(self) -> int:
        """Keys of the prefix."""
        return self.prefix[1] - self.prefix[0]

    @property
    def keys(self) -> int:
        """All keys that the last query sees."""
        return self.shared + self.stop - self.own

    @property
    def causal(self) -> bool:
        """Whether it is a plain causal square."""
        return not self.shared and self.last - self.first == self.stop - self.own

    def sees(self, device: torch.device, window: int | None = None) -> Tensor:
        """Bool (queries, keys): prefix first, then own keys; at most the last `window` of them."""
        queries, keys = self.last - self.first, self.keys
        seen = torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)
        return seen if window is None else seen.triu(keys - queries - window + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """The spans of one packed row, in order of their queries, and what of them every layer needs again.

    `ending` is the row as its last layer may see it: the places (R,) of the tokens that predict something,
    and the spans of those alone. None where every token goes through the last layer.
    """

    spans: tuple[Span, ...]
    ending: tuple[Tensor, Spans] | None = None
    _masks: dict[tuple[int, torch.dtype, int | None], Tensor] = field(default_factory=dict)
    _indices: dict[str, Tensor] = field(default_factory=dict)

    @property
    def longest(self) -> int:
        """Most keys that one query sees."""
        return max(span.keys for span in self.spans)

    def trimmed(self, supervised: Tensor) -> Spans:
        """These spans with their ending: `supervised` is bool (S,), true where a token has to be predicted.

        The supervised tokens of a span stand together, and never at its start.
        """
        places = (supervised.nonzero().squeeze(1) - 1).tolist()
        ends, row = [], 0
        for span in self.spans:
            inside = [place for place in places if span.own <= place < span.stop]
            if inside:
                stop = inside[-1] + 1
                ends.append(Span(row, row + len(inside), span.own, stop, span.prefix))
                row += len(inside)
        index = torch.tensor(places, device=supervised.device)
        return replace(self, ending=(index, Spans(tuple(ends))), _masks={}, _indices={})

    def mask(self, number: int, like: Tensor, window: int | None = None) -> Tensor:
        """Additive mask (queries, keys) of span `number`, made once for all layers of the same window."""
        known = (number, like.dtype, window)
        if known not in self._masks:
            sees = self.spans[number].sees(like.device, window)
            empty = torch.zeros(sees.shape, dtype=like.dtype, device=like.device)
            self._masks[known] = empty.masked_fill(~sees, float("-inf"))
        return self._masks[known]

    def bounds(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Where the queries and the keys of each span begin, one below the other, (spans + 1,) int32 each."""
        if "queries" not in self._indices:
            self._indices["queries"] = _sums([span.last - span.first for span in self.spans], device)
            self._indices["keys"] = _sums([span.keys for span in self.spans], device)
        return self._indices["queries"], self._indices["keys"]

    def gathered(self, device: torch.device) -> Tensor | None:
        """Places of the keys of all spans one after the other; None where that is the row as it is."""
        if all(span.causal for span in self.spans):
            return None
        if "places" not in self._indices:
            places: list[int] = []
            for span in self.spans:
                places += [*range(*span.prefix), *range(span.own, span.stop)]
            self._indices["places"] = torch.tensor(places, device=device)
        return self._indices["places"]


def _sums(counts: Sequence[int], device: torch.device) -> Tensor:
    sums = torch.tensor([0, *counts]).cumsum(0)
    return sums.to(device=device, dtype=torch.int32)
