"""Pull: a remote cache as a local one, every record checked before anything counts.

What arrives is gathered in a folder beside the target, `<target>.pull`. It outlives a kill, so the next pull
goes on. A target that is not there gets the folder as it is; one that is there, the records that it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo.cache import fsops
from emo.cache.canary import read_canary
from emo.cache.columns import read_column
from emo.cache.damage import DamagedFile
from emo.cache.index import Index
from emo.cache.merge import Merged, merge
from emo.cache.paths import HALF_MADE, METADATA, CachePaths
from emo.cache.reader import ArrayReader
from emo.cache.remote.layout import RemoteName, objects_of, read_root, shard_name, shards_of
from emo.cache.remote.mirror import commit_root, commit_space, mirror_index, vanished
from emo.cache.remote.store import NotThere, Store, StoreError
from emo.cache.rows import Place
from emo.cache.store import open_cache
from emo.config.remote import DEFAULTS

BATCH = 32


@dataclass(frozen=True, slots=True)
class Fetched:
    """One shard, here and checked; `there` where an earlier pull had fetched it."""

    name: str
    size: int
    there: bool
    done: int
    total: int


class Pull:
    """A pull from a store into `target`, a local cache or the place for one."""

    def __init__(self, store: Store, target: Path) -> None:
        self._store, self._target = store, target
        self._staged = CachePaths(target.with_name(f"{target.name}.pull"))
        self.merged: Merged | None = None

    def run(self, spaces: Sequence[str] = ()) -> Iterator[Fetched]:
        """Fetch what the store has, of `spaces` (local names) or all; yields after each shard.

        CacheMiss where there is no cache, DamagedCache where rows there are not those that were pushed; the
        target is as before then. With a target that is there, `merged` says what it got.
        """
        yield from self.stage(spaces)
        if (self._target / METADATA).exists():
            self.merged = merge([open_cache(self._staged.root)], open_cache(self._target, "a"))
            fsops.remove_tree(self._staged.root)
        else:
            fsops.make_folder(self._target.parent)
            fsops.rename(self._staged.root, self._target)
            fsops.sync_folder(self._target.parent)

    def stage(self, spaces: Sequence[str] = ()) -> Iterator[Fetched]:
        """Fetch and check everything into the folder beside the target, and leave it there."""
        root = read_root(self._store)
        names = [name for name in root.spaces if not spaces or name.name in spaces]
        fsops.unlink(self._staged.metadata)  # until all is here again
        indexes = [self._mirrored(name) for name in names]
        shards = [
            (name, index, array, shard)
            for name, index in zip(names, indexes, strict=True)
            for array in index.state.spec.arrays
            for shard in shards_of(index, array)
        ]
        for done, (name, index, array, shard) in enumerate(shards, start=1):
            there = self._fetch(name, index, array, shard)
            size = index.state.geometry(array).data_bytes
            yield Fetched(f"{name.folder}/{shard_name(index, array, shard)}", size, there, done, len(shards))
        _clear_others(self._staged, indexes)
        for index in indexes:
            commit_space(index)
        commit_root(self._staged, root.only(names))

    def _mirrored(self, name: RemoteName) -> Index:
        """The index and the canary, here and sound, also in what no row is looked up by."""
        try:
            index = mirror_index(self._store, name, self._staged.space(name.encoder, name.short))
        except NotThere as error:
            raise StoreError(vanished(self._store, error)) from None
        try:
            for column in index.state.columns:
                read_column(index.paths, column, index.state.digests[column.name])
            read_canary(index.paths, index.state)
        except DamagedFile as error:
            raise DamagedFile(
                Path(self._store.where) / name.folder / error.path.relative_to(index.paths.folder),
                "not what was pushed, or damaged on the way. Pull again; where that does not help, push the "
                "cache again from a sound copy. Nothing here was changed.",
            ) from error
        return index

    def _fetch(self, name: RemoteName, index: Index, array: str, shard: int) -> bool:
        """Have the shard here with every record sound; whether it was here before."""
        path = index.paths.folder / shard_name(index, array, shard)
        if path.exists():
            if _unsound(index, array, shard) is None:
                return True
            fsops.unlink(path)
        self._download(name, index, array, shard, path)
        wrong = _unsound(index, array, shard)
        if wrong is not None:
            fsops.unlink(path)
            raise DamagedFile(
                Path(f"{name.folder}/{shard_name(index, array, shard)}"),
                f"rows from {wrong.start} of {array} at {self._store.where} do not match their checksum. "
                "Push the cache again from a sound copy. Nothing here was changed.",
            )
        return False

    def _download(self, name: RemoteName, index: Index, array: str, shard: int, path: Path) -> None:
        """Write the shard as a dense one, in which a writer may go on."""
        geometry, part = index.state.geometry(array), DEFAULTS.part_bytes
        remote = f"{name.folder}/{shard_name(index, array, shard)}"
        end = max(place.start + place.rows for place in _places(index, array, shard))
        used = (end - shard * geometry.shard_rows) * geometry.row_bytes
        scratch = path.with_name(path.name + HALF_MADE)
        fsops.make_folder(path.parent)
        fsops.unlink(scratch)
        descriptor = fsops.create(scratch)
        try:
            fsops.ftruncate(descriptor, geometry.file_bytes)
            fsops.pwrite(descriptor, geometry.index, geometry.data_bytes)

            def copy(start: int) -> None:
                fsops.pwrite(descriptor, self._part(remote, start, min(part, used - start)), start)

            with ThreadPoolExecutor(DEFAULTS.at_once) as pool:
                list(pool.map(copy, range(0, used, part)))
            fsops.fdatasync(descriptor)
        finally:
            fsops.close(descriptor)
        fsops.rename(scratch, path)

    def _part(self, remote: str, start: int, length: int) -> bytes:
        try:
            return self._store.get_range(remote, start, length)
        except NotThere as error:
            raise StoreError(vanished(self._store, error)) from None


def _clear_others(staged: CachePaths, indexes: Sequence[Index]) -> None:
    """Remove what an earlier pull left of a snapshot that the store has no more."""
    mine = {index.paths.folder / name for index in indexes for name in objects_of(index)}
    mine |= {index.paths.folder.parent / METADATA for index in indexes}
    for path in staged.root.rglob("*"):
        if path.is_file() and path not in mine:
            fsops.unlink(path)


def _places(index: Index, array: str, shard: int) -> list[Place]:
    """Where the current records of a shard lie; of all rows where none of them is current."""
    shard_rows = index.state.geometry(array).shard_rows
    start, rows = index.column(f"{array}_start"), index.column(f"{array}_rows")
    here = np.flatnonzero((start // shard_rows == shard) & (rows > 0)).tolist()
    live = set(index.current.values())
    return index.places(array, [row for row in here if row in live] or here)


def _unsound(index: Index, array: str, shard: int) -> Place | None:
    """The first current record of a shard whose rows are not as written; None where all are."""
    geometry = index.state.geometry(array)
    reader = ArrayReader(index.paths, array, geometry)
    live = set(index.current.values())
    shard_of = index.column(f"{array}_start") // geometry.shard_rows
    rows = [
        row
        for row in np.flatnonzero((shard_of == shard) & (index.column(f"{array}_rows") > 0)).tolist()
        if row in live
    ]
    for first in range(0, len(rows), BATCH):
        places = index.places(array, rows[first : first + BATCH])
        outs = [np.empty((place.rows, *geometry.row_shape), geometry.dtype) for place in places]
        wrong = reader.read(places, outs)
        if wrong is not None:
            return places[wrong]
    return None
