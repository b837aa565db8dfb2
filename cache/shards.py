"""Shards: claim one, adopt one that another writer left, append rows to it.

A writer holds the lock of the shard it fills, so rows are written by one process at a time and a killed
writer's shard is free at once. Knows rows as bytes; what a record is, and when it counts, is the journal's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.cache import fsops
from emo.cache.columns import Column, read_column
from emo.cache.geometry import Geometry
from emo.cache.paths import SpacePaths
from emo.cache.publish import publish_lock, read_tails
from emo.cache.state import SpaceState, load_state

COPY_BYTES = 1 << 20


class ShardWriter:
    """Fills the shards of one data array, one after the other."""

    def __init__(self, paths: SpacePaths, array: str, geometry: Geometry, *, durable: bool) -> None:
        self._paths, self._array, self._geometry, self._durable = paths, array, geometry, durable
        self._descriptor: int | None = None
        self._shard = 0
        self._end = 0
        self._dirty = False

    def has_room(self, rows: int) -> bool:
        """Whether the shard in hand takes `rows` more rows."""
        return self._descriptor is not None and self._end + rows <= self._geometry.shard_rows

    def take(self, rows: int) -> None:
        """Let go of the shard in hand and take one with room for `rows`: an adopted one, else a new one.

        What was appended must be in the journal before: a shard without a lock can be adopted.
        """
        self.release()
        if not self._adopt(rows):
            self._claim()

    def append(self, block: NDArray[Any]) -> int:
        """Write rows, as stored, (rows, ...); the number of the first in the array."""
        assert self._descriptor is not None
        offset = self._end * self._geometry.row_bytes
        fsops.pwrite(self._descriptor, block.data.cast("B"), offset)
        start = self._shard * self._geometry.shard_rows + self._end
        self._end += len(block)
        self._dirty = True
        return start

    def sync(self) -> None:
        """Wait until the rows appended so far are on the disk."""
        if self._descriptor is not None and self._dirty:
            fsops.fdatasync(self._descriptor)
            self._dirty = False

    def release(self) -> None:
        """Let go of the shard; the next writer may fill what is left of it."""
        if self._descriptor is not None:
            fsops.close(self._descriptor)
            self._descriptor = None

    def _hold(self, descriptor: int, shard: int, end: int) -> None:
        self._descriptor, self._shard, self._end, self._dirty = descriptor, shard, end, False
        if self._durable:  # whoever made the shard may not have synced it
            fsops.fdatasync(descriptor)
            for folder in list(self._path(shard).parents)[: len(self._geometry.shard_key(shard)) + 1]:
                fsops.sync_folder(folder)

    def _adopt(self, rows: int) -> bool:
        shards = shards_on_disk(self._paths, self._array, self._geometry)
        if not shards:
            return False
        with publish_lock(self._paths):
            state = load_state(self._paths)
            ends = shard_ends(self._paths, state, self._array)
            for shard in shards:
                if not self._free(ends.get(shard, 0), rows):
                    continue
                descriptor = fsops.open_update(self._path(shard))
                if fsops.flock(descriptor, wait=False):
                    # its last writer may have added lines between our reading and its letting go
                    end = shard_ends(self._paths, state, self._array).get(shard, 0)
                    if self._free(end, rows):
                        held = self._whole(descriptor, shard, end)
                        if held is not None:
                            self._hold(held, shard, end)
                            return True
                fsops.close(descriptor)
        return False

    def _free(self, end: int, rows: int) -> bool:
        return self._geometry.shard_rows - end >= max(rows, self._geometry.sealed_below)

    def _whole(self, descriptor: int, shard: int, end: int) -> int | None:
        """The descriptor of the shard at its full length; None where another program rewrote it.

        One without rows whose maker was killed half-way is finished here, a sealed one is made anew.
        """
        rows = dense_rows(descriptor, self._geometry)
        if rows == self._geometry.shard_rows:
            return descriptor
        if rows is not None:
            return self._unsealed(descriptor, shard, rows)
        if end == 0:
            self._lay_out(descriptor)
            return descriptor
        return None

    def _unsealed(self, sealed: int, shard: int, rows: int) -> int:
        """The locked descriptor of a whole shard with the rows of a sealed one, in its place.

        Its rows were safe in the sealed file, so they are synced here whatever the durability; until the name
        is, either file holds them.
        """
        scratch = self._scratch()
        descriptor = fsops.create_locked(scratch)
        self._lay_out(descriptor)
        copy_shard(sealed, descriptor, rows * self._geometry.row_bytes)
        fsops.fdatasync(descriptor)
        fsops.rename(scratch, self._path(shard))
        fsops.close(sealed)
        return descriptor

    def _scratch(self) -> Path:
        return self._paths.scratch(f"shard{os.getpid()}-{time.time_ns()}")

    def _lay_out(self, descriptor: int) -> None:
        fsops.ftruncate(descriptor, self._geometry.file_bytes)
        fsops.pwrite(descriptor, self._geometry.index, self._geometry.data_bytes)

    def _claim(self) -> None:
        scratch = self._scratch()
        descriptor = fsops.create_locked(scratch)  # before it has its name, so that nobody adopts it
        self._lay_out(descriptor)
        taken = shards_on_disk(self._paths, self._array, self._geometry)
        shard = taken[-1] + 1 if taken else 0
        while True:
            path = self._path(shard)
            fsops.make_folder(path.parent)
            with suppress(FileExistsError):
                if not fsops.link(scratch, path):
                    made = self._create_in_place(path)
                    fsops.close(descriptor)
                    descriptor = made
                break
            shard += 1
        fsops.unlink(scratch)
        self._hold(descriptor, shard, 0)

    def _create_in_place(self, path: Path) -> int:
        """A claim where the file system has no hard links; another writer may adopt it before we lock it."""
        descriptor = fsops.create(path)
        if not fsops.flock(descriptor, wait=False):
            fsops.close(descriptor)
            raise FileExistsError(path)
        self._lay_out(descriptor)
        return descriptor

    def _path(self, shard: int) -> Path:
        return self._paths.chunk(self._array, self._geometry.shard_key(shard))


def shards_on_disk(paths: SpacePaths, array: str, geometry: Geometry) -> list[int]:
    """Numbers of the array's shards, in order. A folder without its file is a claim that a kill cut short."""
    numbers = sorted(int(name) for name in fsops.names_in(paths.folder / array / "c") if name.isdecimal())
    return [n for n in numbers if paths.chunk(array, geometry.shard_key(n)).is_file()]


def is_dense(descriptor: int, geometry: Geometry) -> bool:
    """Whether each row of the file lies where its number says: a whole shard or a sealed one."""
    return dense_rows(descriptor, geometry) is not None


def dense_rows(descriptor: int, geometry: Geometry) -> int | None:
    """How many rows a dense shard holds: all, or fewer where it was sealed. None where it is not dense."""
    begin = fsops.size_of(descriptor) - len(geometry.index)
    if not 0 <= begin <= geometry.data_bytes or begin % geometry.chunk_bytes:
        return None
    chunks = begin // geometry.chunk_bytes
    expected = geometry.index if begin == geometry.data_bytes else geometry.sealed_index(chunks)
    if fsops.pread(descriptor, len(expected), begin) != expected:
        return None
    return chunks * geometry.chunk_rows


def copy_shard(source: int, target: int, size: int) -> None:
    """Copy the first `size` bytes of an open file."""
    for offset in range(0, size, COPY_BYTES):
        fsops.pwrite(target, fsops.pread(source, min(COPY_BYTES, size - offset), offset), offset)


def clear_empty_shards(
    paths: SpacePaths, state: SpaceState, array: str, *, remove: bool = True
) -> Iterator[Path]:
    """Remove the shards that no record names and no writer holds, or only name them. The caller holds the
    publish lock."""
    geometry, ends = state.geometry(array), shard_ends(paths, state, array)
    for shard in shards_on_disk(paths, array, geometry):
        path = paths.chunk(array, geometry.shard_key(shard))
        if ends.get(shard, 0):
            continue
        descriptor = fsops.open_update(path)
        try:
            if fsops.flock(descriptor, wait=False):
                if remove:
                    fsops.unlink(path)
                yield path
        finally:
            fsops.close(descriptor)


def shard_ends(paths: SpacePaths, state: SpaceState, array: str) -> Mapping[int, int]:
    """For each shard of an array, the row after the last that the index or a journal knows."""
    geometry = state.geometry(array)
    start, rows = (
        read_column(paths, Column(f"{array}_{what}", dtype), state.digests[f"{array}_{what}"])
        for what, dtype in (("start", "<i8"), ("rows", "<i4"))
    )
    tails, _ = read_tails(paths, state)
    places = [row.places[array] for row in tails if array in row.places]
    start = np.concatenate([start, np.array([place.start for place in places], np.int64)])
    rows = np.concatenate([rows, np.array([place.rows for place in places], np.int32)])
    shard, first = np.divmod(start[rows > 0], geometry.shard_rows)
    end = first + rows[rows > 0]
    ends = np.zeros(int(shard.max(initial=-1)) + 1, np.int64)
    np.maximum.at(ends, shard, end)
    return dict(enumerate(ends.tolist()))
