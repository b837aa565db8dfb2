"""Compact: a space without the rows that were replaced or retracted, and without what nobody owns.

The new folder is made beside the hierarchy, synced, and changes places with the old one in one step, so a
kill at any instant leaves the one or the other. Rows have other numbers afterwards. Knows nothing of why a
record was retracted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.cache import fsops
from emo.cache.canary import FOLDER as CANARY
from emo.cache.columns import Digest, append_values
from emo.cache.damage import DamagedFile
from emo.cache.erasure import holds_strange_bytes
from emo.cache.format import Document, stamped
from emo.cache.geometry import Geometry
from emo.cache.index import Index, load_index
from emo.cache.journal import journals
from emo.cache.paths import METADATA, SpaceElsewhere, SpacePaths
from emo.cache.publish import publish, publish_lock, without_writers
from emo.cache.reader import ArrayReader
from emo.cache.rows import Place
from emo.cache.state import SpaceState, grown
from emo.errors import CacheError
from emo.records import RETRACTED

BATCH = 32


@dataclass(frozen=True, slots=True)
class Compacted:
    """What compacting a space did: rows of the index that were dropped, and rows that stayed."""

    space: str
    dropped: int
    kept: int


def compact(paths: SpacePaths) -> Compacted:
    """Rewrite the space with its current records only; nothing where it holds nothing else.

    CacheError where a process is writing to it or the file system cannot exchange two folders, DamagedCache
    where a record is not what was written: nothing has changed then.
    """
    with without_writers(paths):
        publish(paths)
        with publish_lock(paths):
            index = load_index(paths)
            if journals(paths):
                raise CacheError(f"{paths.name} has a journal that is in use. Try again when it is not.")
            kept = live_rows(index)
            if len(kept) < len(index) or holds_strange_bytes(index):
                _replace(paths, index, kept)
            return Compacted(paths.name, len(index) - len(kept), len(kept))


def live_rows(index: Index) -> NDArray[np.int64]:
    """Numbers of the rows that are current and not retracted, in order."""
    status = index.column("status")
    rows = sorted(row for _, row in index.live() if status[row] != RETRACTED)
    return np.array(rows, np.int64)


def _replace(paths: SpacePaths, index: Index, kept: NDArray[np.int64]) -> None:
    target = SpaceElsewhere(paths.cache, paths.encoder, paths.short, paths.scratch("compacted"))
    fsops.remove_tree(target.folder)
    state = _written(target, paths, index, kept)
    files = {f"{name}/{METADATA}": stamped(_bare(member)) for name, member in state.members.items()}
    for name, data in {**files, METADATA: stamped(state.document())}.items():
        _write_file(target.folder / name, data)
    _sync_tree(target.folder)
    if not fsops.exchange(target.folder, paths.folder):
        raise CacheError(
            f"this file system cannot exchange two folders in one step, so {paths.name} stays as it is. "
            "`emo cache merge` writes a compact copy elsewhere."
        )
    fsops.sync_folder(paths.folder.parent)
    fsops.sync_folder(paths.aside)
    fsops.remove_tree(target.folder)


def _bare(member: Document) -> Document:
    return {name: value for name, value in member.items() if name != "consolidated_metadata"}


def _written(target: SpaceElsewhere, source: SpacePaths, index: Index, kept: NDArray[np.int64]) -> SpaceState:
    """Write data, index and canary of the kept rows; the state that describes them."""
    columns: dict[str, Any] = {column.name: index.column(column.name)[kept] for column in index.state.columns}
    lengths = {}
    for array in index.state.spec.arrays:
        starts, lengths[array] = _copy_array(target, source, array, index, kept)
        columns[f"{array}_start"] = starts
    digests = dict(index.state.digests)
    for column in index.state.columns:
        digests[column.name] = append_values(target, column, Digest(), columns[column.name], durable=True)
        lengths[column.name] = digests[column.name].length
    for name in index.state.members:
        if name.startswith(f"{CANARY}/"):
            key = "/".join(map(str, (0,) * len(index.state.members[name]["shape"])))
            _write_file(target.folder / name / "c" / key, fsops.read_file(source.folder / name / "c" / key))
    emptied = {
        name: {**member, "shape": [0, *member["shape"][1:]]} if name in lengths else member
        for name, member in index.state.members.items()
    }
    state = replace(
        index.state,
        members=emptied,
        digests=digests,
        marks={},
        generation=index.state.generation + 1,
    )
    return grown(state, lengths)


def _copy_array(
    target: SpaceElsewhere, source: SpacePaths, array: str, index: Index, kept: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """Copy the rows of one array close together; where each record begins now, and the array's length.

    Records that share their data go on sharing it.
    """
    geometry = index.state.geometry(array)
    reader, shards = ArrayReader(source, array, geometry), _Shards(target, array, geometry)
    starts = np.zeros(len(kept), np.int64)
    moved: dict[tuple[int, int], int] = {}
    try:
        for first in range(0, len(kept), BATCH):
            places = index.places(array, kept[first : first + BATCH].tolist())
            new = [place for place in dict.fromkeys(places) if place.rows and _key(place) not in moved]
            for place, rows in zip(new, _read(reader, array, new), strict=True):
                moved[_key(place)] = shards.append(rows)
            starts[first : first + BATCH] = [moved[_key(place)] if place.rows else 0 for place in places]
    finally:
        shards.close()
    return starts, shards.length


def _key(place: Place) -> tuple[int, int]:
    return place.start, place.rows


def _read(reader: ArrayReader, array: str, places: Sequence[Place]) -> list[NDArray[Any]]:
    geometry = reader.geometry
    outs = [np.empty((place.rows, *geometry.row_shape), geometry.dtype) for place in places]
    wrong = reader.read(places, outs)
    if wrong is not None:
        raise DamagedFile(
            reader.path_of(places[wrong]),
            f"rows from {places[wrong].start} of {array} do not match their checksum. Nothing was changed.",
        )
    return outs


class _Shards:
    """Dense shards filled one after the other by their only writer."""

    def __init__(self, paths: SpacePaths, array: str, geometry: Geometry) -> None:
        self._paths, self._array, self._geometry = paths, array, geometry
        self._descriptor: int | None = None
        self.length = 0

    def append(self, rows: NDArray[Any]) -> int:
        """Write the rows of one record; the number of the first."""
        shard_rows, row_bytes = self._geometry.shard_rows, self._geometry.row_bytes
        room = -self.length % shard_rows
        if len(rows) > room:
            self.length += room
            self._next(self.length // shard_rows)
        assert self._descriptor is not None
        start = self.length
        fsops.pwrite(self._descriptor, rows.data.cast("B"), start % shard_rows * row_bytes)
        self.length += len(rows)
        return start

    def _next(self, shard: int) -> None:
        self.close()
        path = self._paths.chunk(self._array, self._geometry.shard_key(shard))
        fsops.make_folder(path.parent)
        self._descriptor = fsops.create(path)
        fsops.ftruncate(self._descriptor, self._geometry.file_bytes)
        fsops.pwrite(self._descriptor, self._geometry.index, self._geometry.data_bytes)

    def close(self) -> None:
        """Sync and let go of the shard in hand."""
        if self._descriptor is not None:
            fsops.fdatasync(self._descriptor)
            fsops.close(self._descriptor)
            self._descriptor = None


def _write_file(path: Path, data: bytes) -> None:
    fsops.make_folder(path.parent)
    descriptor = fsops.create(path)
    try:
        fsops.write(descriptor, data)
        fsops.fdatasync(descriptor)
    finally:
        fsops.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for child in _folders(folder):
        fsops.sync_folder(child)


def _folders(folder: Path) -> Iterator[Path]:
    for name in fsops.names_in(folder):
        if (folder / name).is_dir():
            yield from _folders(folder / name)
    yield folder
