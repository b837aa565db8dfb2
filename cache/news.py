"""News: the records that a space got since one last asked, whoever stored them.

Reads the ends of the journals and of the index only, so asking often is cheap however much is stored. May
tell of a record twice. Never reads features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emo.cache import fsops
from emo.cache.columns import Column, read_chunk
from emo.cache.format import CHUNK_ROWS
from emo.cache.journal import Mark, journals, read_tail
from emo.cache.paths import SpacePaths
from emo.cache.rows import Place, Row
from emo.cache.state import SpaceState, load_state


class News:
    """Follows one space from a snapshot on."""

    def __init__(self, paths: SpacePaths, state: SpaceState) -> None:
        self._paths, self._fingerprint = paths, state.spec.fingerprint
        self._length = _length(state)
        self._marks = dict(state.marks)
        self._stamp: tuple[int, int, int] | None = None

    def read(self) -> list[Row]:
        """The records stored since the last call, without `reason` and `meta` where the index has them."""
        tails = [row for path in journals(self._paths) for row in self._tail(path.name)]
        stamp = fsops.stamp_of(self._paths.metadata)
        if stamp == self._stamp:
            return tails
        state = load_state(self._paths)
        published = _published(self._paths, state, min(self._length, _length(state)))
        self._stamp, self._length = stamp, _length(state)
        return published + tails

    def _tail(self, name: str) -> list[Row]:
        path, mark = self._paths.aside / name, self._marks.get(name, Mark())
        rows, self._marks[name] = read_tail(path, self._fingerprint, mark)
        return rows


def _length(state: SpaceState) -> int:
    return state.digests["clip_id"].length


def _published(paths: SpacePaths, state: SpaceState, start: int) -> list[Row]:
    """Index rows from `start` on."""
    if _length(state) == start:
        return []
    values = {
        column.name: _from(paths, column, start, _length(state))
        for column in state.columns
        if column.name not in ("reason", "meta")
    }
    return [
        Row(
            clip_id=values["clip_id"][row],
            status=values["status"][row],
            reason="",
            meta="{}",
            input_sha256=values["input_sha256"][row].tobytes(),
            places={
                array: Place(*(int(values[f"{array}_{what}"][row]) for what in ("start", "rows", "crc32c")))
                for array in state.spec.arrays
                if values[f"{array}_rows"][row]
            },
        )
        for row in range(_length(state) - start)
    ]


def _from(paths: SpacePaths, column: Column, start: int, stop: int) -> Sequence[Any]:
    """Values `start` to `stop` of an index array, by the chunks that hold them."""
    found: list[Any] = []
    for chunk in range(start // CHUNK_ROWS, -(-stop // CHUNK_ROWS)):
        first = chunk * CHUNK_ROWS
        count = min(CHUNK_ROWS, stop - first)
        values = column.values(read_chunk(paths, column, chunk, count), count)
        found += list(values[max(0, start - first) :])
    return found
