"""Index: which records a space holds, in memory.

Read from the published index arrays, every digest checked, plus what the journals know beyond them. Knows
where rows lie but reads none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.cache.columns import Column, read_column
from emo.cache.damage import DamagedFile
from emo.cache.paths import SpacePaths
from emo.cache.publish import column_values, read_tails
from emo.cache.rows import Place, Row
from emo.cache.state import SpaceState, check_generation, load_state


@dataclass
class Index:
    """Columns of a snapshot, tail rows included. Columns are read, and checked, when first asked for."""

    paths: SpacePaths
    state: SpaceState
    tail: Sequence[Row]
    _columns: dict[str, NDArray[Any]] = field(default_factory=dict)

    @cached_property
    def ids(self) -> list[str]:
        """Clip id of every row, replaced ones included."""
        ids: list[str] = self.column("clip_id").tolist()
        return ids

    @cached_property
    def current(self) -> dict[str, int]:
        """Row of each clip's current record: the last one."""
        return dict(zip(self.ids, range(len(self.ids)), strict=True))

    def __len__(self) -> int:
        """Rows, replaced ones included."""
        return len(self.ids)

    def column(self, name: str) -> NDArray[Any]:
        """One index array; DamagedCache where it is not what was written, SnapshotGone where it went in a
        compaction."""
        if name not in self._columns:
            column = next(column for column in self.state.columns if column.name == name)
            try:
                values = read_column(self.paths, column, self.state.digests[name])
            except DamagedFile:
                check_generation(self.paths, self.state)
                raise
            values = np.concatenate([values, self._tail_values(column)])
            array, _, what = name.rpartition("_")
            if what == "rows" and array in self.state.spec.arrays:
                self._check_places(array, self.column(f"{array}_start"), values)
            self._columns[name] = values
        return self._columns[name]

    def _check_places(self, array: str, start: NDArray[Any], rows: NDArray[Any]) -> None:
        """DamagedFile where a record would be read from beyond its shard, whoever wrote that."""
        shard_rows = self.state.geometry(array).shard_rows
        if ((start < 0) | (rows < 0) | (start % shard_rows + rows > shard_rows)).any():
            raise DamagedFile(self.paths.folder / f"{array}_rows", "a record reaches beyond its shard.")

    def _tail_values(self, column: Column) -> NDArray[Any]:
        values = column_values(column, self.tail)
        return column.values(column.body(values), len(self.tail))

    def place(self, row: int, array: str) -> Place:
        """Where an array of this row lies."""
        start, rows, crc = (self.column(f"{array}_{what}")[row] for what in ("start", "rows", "crc32c"))
        return Place(int(start), int(rows), int(crc))

    def places(self, array: str, rows: Sequence[int]) -> list[Place]:
        """Where an array of these rows lies."""
        numbers = np.asarray(rows, np.intp)
        picked = (self.column(f"{array}_{what}")[numbers].tolist() for what in ("start", "rows", "crc32c"))
        return [Place(*values) for values in zip(*picked, strict=True)]

    @cached_property
    def live_rows(self) -> NDArray[np.intp]:
        """The rows of the current records, in the order of `live`."""
        return np.fromiter(self.current.values(), np.intp, len(self.current))

    def live(self) -> Iterator[tuple[str, int]]:
        """(clip id, row) of every current record, in the order in which clips were first stored."""
        return iter(self.current.items())


def load_index(paths: SpacePaths) -> Index:
    """The index of the published snapshot and of what the journals know beyond it."""
    while True:
        state = load_state(paths)
        rows, _ = read_tails(paths, state)
        # a publish in between may have deleted a journal before it was read: look again
        if load_state(paths) == state:
            return Index(paths, state, rows)
