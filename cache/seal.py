"""Seal: shards that are not full lose their empty tails, so that a copy is no longer than what it holds.

A shard is made at its full length as a sparse file: small on the disk that it was made on, whole in a tar
or in an object store. A sealed shard ends with its last used chunk and is still valid Zarr. The next writer
makes it whole again. Knows nothing of records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emo.cache import fsops
from emo.cache.paths import SpacePaths
from emo.cache.publish import publish, publish_lock, without_writers
from emo.cache.shards import clear_empty_shards, copy_shard, dense_rows, shard_ends, shards_on_disk
from emo.cache.state import SpaceState, load_state
from emo.cache.store import FeatureCache


@dataclass(frozen=True, slots=True)
class Sealed:
    """One shard file that is shorter now: its lengths before and after in bytes; 0 where it is gone, having
    held no record."""

    path: Path
    before: int
    after: int


def seal(cache: FeatureCache) -> Iterator[Sealed]:
    """Seal every shard of the cache that is not full; those that are sealed stay as they are.

    CacheError where a process is writing to a space. A kill leaves each shard as it was or sealed.
    """
    for space in cache.spaces():
        yield from _seal_space(space.paths)


def _seal_space(paths: SpacePaths) -> Iterator[Sealed]:
    with without_writers(paths):
        publish(paths)
        with publish_lock(paths):
            state = load_state(paths)
            for array in state.spec.arrays:
                size = state.geometry(array).file_bytes
                yield from (Sealed(path, size, 0) for path in clear_empty_shards(paths, state, array))
                yield from _seal_array(paths, state, array)


def _seal_array(paths: SpacePaths, state: SpaceState, array: str) -> Iterator[Sealed]:
    geometry, ends = state.geometry(array), shard_ends(paths, state, array)
    for shard in shards_on_disk(paths, array, geometry):
        chunks = -(-ends.get(shard, 0) // geometry.chunk_rows)
        free = geometry.shard_rows - chunks * geometry.chunk_rows
        if free < max(1, geometry.sealed_below):
            continue
        path = paths.chunk(array, geometry.shard_key(shard))
        descriptor = fsops.open_read(path)
        try:
            if dense_rows(descriptor, geometry) == geometry.shard_rows:
                index, size = geometry.sealed_index(chunks), chunks * geometry.chunk_bytes
                _replace(path, descriptor, size, index, paths.scratch("sealed"))
                yield Sealed(path, geometry.file_bytes, size + len(index))
        finally:
            fsops.close(descriptor)


def _replace(path: Path, source: int, size: int, index: bytes, scratch: Path) -> None:
    """Give the shard at `path` the first `size` bytes of `source`, then `index`, in one step."""
    fsops.unlink(scratch)
    target = fsops.create(scratch)
    try:
        copy_shard(source, target, size)
        fsops.pwrite(target, index, size)
        fsops.fdatasync(target)
    finally:
        fsops.close(target)
    fsops.rename(scratch, path)
    fsops.sync_folder(path.parent)
