"""ArrayReader: the rows of records from the shards of one data array, checked against their crc32c.

A dense shard is read with one preadv at a computed offset; a shard that another program rewrote (valid Zarr,
but compressed or with holes) through zarr. Knows places, not records.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

from emo.cache import fsops
from emo.cache.damage import DamagedFile
from emo.cache.geometry import Geometry, index_is_sound
from emo.cache.paths import SpacePaths
from emo.cache.rows import Place
from emo.cache.shards import is_dense
from emo.config.cache import DEFAULTS, Check
from emo.errors import DamagedCache

OPEN_SHARDS = 256


class RowReader(Protocol):
    """What a space reads the rows of one data array with, wherever they lie."""

    @property
    def geometry(self) -> Geometry:
        """Shape and place of the array's rows."""

    def read(self, places: Sequence[Place], outs: Sequence[NDArray[Any]]) -> int | None:
        """Fill `outs` with the rows as stored; the first place whose rows are not as written, or None."""

    def view(self, place: Place) -> NDArray[Any] | None:
        """The rows without a copy, checked; None where that cannot be."""

    def damage(self, place: Place, what: str) -> DamagedCache:
        """The error that says where `what` is, and what to do."""


class Readers(Protocol):
    """What makes a RowReader for an array of a space."""

    def __call__(self, paths: SpacePaths, array: str, geometry: Geometry, check: Check, /) -> RowReader:
        """A reader of the rows of one array."""


class _OpenShard:
    """An open dense shard. Whoever reads holds a reference, so dropping one from the table is safe."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @cached_property
    def mapped(self) -> mmap.mmap:
        """The shard's bytes, for as long as any view of them lives."""
        return fsops.map_read(self.descriptor)

    def __del__(self) -> None:
        fsops.close(self.descriptor)


class ArrayReader:
    """Reads rows of one data array as they are stored (bfloat16 as uint16). Safe to use from threads."""

    def __init__(
        self, paths: SpacePaths, array: str, geometry: Geometry, check: Check = DEFAULTS.check
    ) -> None:
        self._paths, self._array, self.geometry, self._check = paths, array, geometry, check
        self._open: dict[int, _OpenShard | None] = {}
        self._found_sound: set[int] = set()  # first rows, where only the first read is checked

    def read(self, places: Sequence[Place], outs: Sequence[NDArray[Any]]) -> int | None:
        """Fill `outs`, each (rows, ...) of the stored dtype and C-contiguous; fastest where they begin at a
        multiple of 64 bytes, see `emo.cache.buffers`.

        What is in memory is read first, while the kernel fetches the rest. The number of the first place
        whose bytes are not those that were written, or None. DamagedCache where a shard is missing or its
        index is not sound.
        """
        shard_rows, row_bytes = self.geometry.shard_rows, self.geometry.row_bytes
        plan = []
        for number, place in enumerate(places):
            shard, row = divmod(place.start, shard_rows)
            plan.append((shard, row * row_bytes, number))
        plan.sort()
        held = {shard: self._shard(shard) for shard in dict.fromkeys(shard for shard, _, _ in plan)}
        late, wrong = [], len(places)
        for shard, offset, number in plan:
            view = outs[number].data.cast("B")
            if (dense := held[shard]) is None:
                self._through_zarr(places[number], outs[number])
            elif (done := fsops.pread_cached(dense.descriptor, view, offset)) < len(view):
                fsops.will_need(dense.descriptor, offset + done, len(view) - done)
                late.append((dense.descriptor, offset + done, view, done, number))
                continue
            if not self._holds(view, places[number]):
                wrong = min(wrong, number)
        for descriptor, offset, view, done, number in late:
            fsops.pread_into(descriptor, view[done:], offset)
            if not self._holds(view, places[number]):
                wrong = min(wrong, number)
        return wrong if wrong < len(places) else None

    def _holds(self, data: memoryview, place: Place) -> bool:
        """Whether these bytes are those that were written at a place, as far as they are to be checked."""
        if self._check == "never" or place.start in self._found_sound:
            return True
        sound = crc32c(data) == place.crc
        if sound and self._check == "first":
            self._found_sound.add(place.start)
        return sound

    def view(self, place: Place) -> NDArray[Any] | None:
        """The rows where they lie in the mapped shard, read-only; None where the shard is not dense or holds
        other bytes than were written."""
        shard, row = divmod(place.start, self.geometry.shard_rows)
        dense = self._shard(shard)
        if dense is None:
            return None
        offset = row * self.geometry.row_bytes
        data = memoryview(dense.mapped)[offset : offset + place.rows * self.geometry.row_bytes]
        if not self._holds(data, place):
            return None
        return np.frombuffer(data, self.geometry.dtype).reshape(place.rows, *self.geometry.row_shape)

    def is_sound(self, shard: int) -> bool:
        """Whether a shard is there and its index is as it must be; says nothing of its rows."""
        try:
            self._shard(shard)
        except DamagedFile:
            return False
        return True

    def damage(self, place: Place, what: str) -> DamagedCache:
        """`what` at this place is not as it was written."""
        cache = self._paths.cache.root
        return DamagedFile(self.path_of(place), f"{what} Run: emo cache verify --cache {cache}")

    def path_of(self, place: Place) -> Path:
        """The shard file that holds a place."""
        shard = place.start // self.geometry.shard_rows
        return self._paths.chunk(self._array, self.geometry.shard_key(shard))

    def _shard(self, shard: int) -> _OpenShard | None:
        """The open shard, or None where it has to be read through zarr."""
        if shard not in self._open:
            if len(self._open) >= OPEN_SHARDS:
                self._open = {}
            self._open[shard] = self._open_shard(shard)
        return self._open[shard]

    def _open_shard(self, shard: int) -> _OpenShard | None:
        path = self._paths.chunk(self._array, self.geometry.shard_key(shard))
        try:
            dense = _OpenShard(fsops.open_read(path))
        except (FileNotFoundError, NotADirectoryError):
            raise DamagedFile(path, "missing, with its records. Restore it from a copy.") from None
        if is_dense(dense.descriptor, self.geometry):
            return dense
        size, length = fsops.size_of(dense.descriptor), len(self.geometry.index)
        if size < length or not index_is_sound(fsops.pread(dense.descriptor, length, size - length)):
            raise DamagedFile(path, "the shard's index is damaged. Restore it from a copy.")
        return None

    def _through_zarr(self, place: Place, out: NDArray[Any]) -> None:
        import zarr

        array = zarr.open_array(self._paths.folder / self._array, mode="r")
        out[:] = 0  # what is not there, or is not of this array, fails the checksum
        with suppress(ValueError, TypeError, LookupError, RuntimeError):
            rows = np.asarray(array[place.start : place.start + place.rows])
            if rows.shape == out.shape:
                out[:] = rows
