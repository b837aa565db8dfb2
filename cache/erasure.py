"""Erasure: the proof that nothing of a forgotten clip is left, or what is.

Looks for ids in every index row, journal and leftover, and at every byte of the shards that no current record
owns. Changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo.cache import fsops
from emo.cache.damage import DamagedFile
from emo.cache.forget import own_places
from emo.cache.index import Index
from emo.cache.journal import SUFFIX, journals
from emo.cache.leftovers import clear_leftovers
from emo.cache.paths import CachePaths
from emo.cache.publish import publish_lock
from emo.cache.reader import ArrayReader
from emo.cache.shards import shards_on_disk
from emo.canonical import canonical_json
from emo.records import RETRACTED

READ_BYTES = 1 << 20


def unerased(index: Index) -> Iterator[DamagedFile]:
    """Rows of retracted clips that still hold bytes: a `forget` that a kill cut short."""
    status = index.column("status")
    retracted = {clip_id for clip_id, row in index.live() if status[row] == RETRACTED}
    if not retracted:
        return
    for array in index.state.spec.arrays:
        geometry = index.state.geometry(array)
        reader = ArrayReader(index.paths, array, geometry)
        for place in own_places(index, array, retracted):
            offset = place.start % geometry.shard_rows * geometry.row_bytes
            path = reader.path_of(place)
            if not _is_zero(path, offset, offset + place.rows * geometry.row_bytes):
                yield DamagedFile(
                    path,
                    f"rows {place.start} to {place.start + place.rows - 1} of {array} are of a clip that was "
                    "retracted, and still hold bytes. Run `emo cache forget` on it again.",
                )


def holds_strange_bytes(index: Index) -> bool:
    """Whether any shard holds bytes that no current record owns."""
    return any(True for array in index.state.spec.arrays for _ in _strange_bytes(index, array))


def traces(index: Index, clip_ids: Collection[str]) -> Iterator[DamagedFile]:
    """What is left in one space that names these clips, or could be theirs."""
    named = sorted(set(clip_ids) & set(index.ids))
    for clip_id in named:
        yield DamagedFile(index.paths.folder / "clip_id", f"the id {clip_id!r} stands in the index.")
    for path in journals(index.paths):
        data = fsops.read_file(path)
        for clip_id in clip_ids:
            if b'"clip_id":' + canonical_json(clip_id) in data:
                yield DamagedFile(path, f"the journal names {clip_id!r}. Run `emo cache gc --yes`.")
    with publish_lock(index.paths):
        for path in clear_leftovers(index.paths.aside, remove=False):
            yield DamagedFile(path, "half-made and without an owner. Run `emo cache gc --yes`.")
    for array in index.state.spec.arrays:
        yield from _strange_bytes(index, array)


def beside(paths: CachePaths, clip_ids: Collection[str]) -> Iterator[DamagedFile]:
    """What is left of these clips beside the spaces: media files named like them, and half-made things."""
    names = [name for name in fsops.names_in(paths.aside) if name.endswith(SUFFIX)]
    for path in (paths.aside / name for name in names):
        media = {_media_name(line) for line in fsops.read_file(path).splitlines()}
        for clip_id in clip_ids:
            if any(name == clip_id or name.endswith(f"/{clip_id}") for name in media):
                yield DamagedFile(path, f"a media file is named {clip_id!r} there. Run `emo cache gc --yes`.")
    for path in clear_leftovers(paths.aside, remove=False):
        yield DamagedFile(path, "half-made and without an owner. Run `emo cache gc --yes`.")


def _media_name(line: bytes) -> str:
    """The path in a line of the remembered digests of media, without its suffix."""
    try:
        return Path(json.loads(line)[0]).with_suffix("").as_posix()
    except (ValueError, TypeError, IndexError, KeyError):
        return ""


def _strange_bytes(index: Index, array: str) -> Iterator[DamagedFile]:
    """Bytes of the shards that no current record owns and that are not zero."""
    geometry = index.state.geometry(array)
    status = index.column("status")
    rows = [row for _, row in index.live() if status[row] != RETRACTED]
    places = [place for place in index.places(array, rows) if place.rows]
    starts = np.array(sorted({(place.start, place.start + place.rows) for place in places}), np.int64)
    for shard in shards_on_disk(index.paths, array, geometry):
        first = shard * geometry.shard_rows
        path = index.paths.chunk(array, geometry.shard_key(shard))
        rows_end = path.stat().st_size - len(geometry.index)  # a sealed shard ends before its last row
        for start, stop in _gaps(starts.reshape(-1, 2), first, first + geometry.shard_rows):
            begin, end = ((row - first) * geometry.row_bytes for row in (start, stop))
            if not _is_zero(path, begin, min(end, rows_end)):
                yield DamagedFile(
                    path,
                    f"rows {start} to {stop - 1} of {array} hold bytes that no record owns. "
                    "Run `emo cache gc --compact --yes`.",
                )


def _gaps(owned: NDArray[np.int64], first: int, stop: int) -> Iterator[tuple[int, int]]:
    """The rows from `first` to `stop` that are in none of the sorted intervals."""
    at = first
    for begin, end in owned[(owned[:, 0] >= first) & (owned[:, 0] < stop)].tolist():
        if begin > at:
            yield at, begin
        at = max(at, end)
    if at < stop:
        yield at, stop


def _is_zero(path: Path, begin: int, end: int) -> bool:
    descriptor = fsops.open_read(path)
    try:
        for offset in range(begin, end, READ_BYTES):
            block = fsops.pread(descriptor, min(READ_BYTES, end - offset), offset)
            if block.count(0) != len(block):
                return False
    finally:
        fsops.close(descriptor)
    return True
