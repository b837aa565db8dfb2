"""Sealed shards: the bytes of a shard as they are sent, which hold the rows of index rows and nothing else.

A sealed shard ends after its last used chunk and its index marks all others as empty, so plain Zarr reads it
and rows keep their offsets. What killed writers left between records is zeros in it. Every current record is
checked against its crc32c on the way. Knows no store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

from emo.cache.damage import DamagedFile
from emo.cache.geometry import Geometry
from emo.cache.index import Index
from emo.cache.reader import ArrayReader
from emo.cache.rows import Place

EMPTY = np.uint64(2**64 - 1)  # offset and length of a chunk that is not there


def sealed_shard(index: Index, array: str, shard: int) -> bytes:
    """The shard of the snapshot that `index` is; DamagedCache where a current record is not as written."""
    geometry = index.state.geometry(array)
    current, replaced = _places(index, array, shard)
    end = max(place.start + place.rows for place in (*current, *replaced)) - shard * geometry.shard_rows
    chunks = -(-end // geometry.chunk_rows)
    rows = np.zeros((chunks * geometry.chunk_rows, *geometry.row_shape), geometry.dtype)
    reader = ArrayReader(index.paths, array, geometry)
    _fill(reader, array, current, _slots(rows, current, geometry))
    for place in replaced:
        (slot,) = _slots(rows, [place], geometry)
        before = slot.copy()  # rows may be shared with a current record
        if not _reads(reader, place, slot):
            slot[:] = before
    return rows.tobytes() + _index(geometry, chunks)


def _places(index: Index, array: str, shard: int) -> tuple[list[Place], list[Place]]:
    """Places in a shard that current rows name, and those that only replaced ones do."""
    shard_rows = index.state.geometry(array).shard_rows
    start, rows = index.column(f"{array}_start"), index.column(f"{array}_rows")
    here = np.flatnonzero((start // shard_rows == shard) & (rows > 0)).tolist()
    live = set(index.current.values())
    found: tuple[dict[Place, None], dict[Place, None]] = ({}, {})
    for row, place in zip(here, index.places(array, here), strict=True):
        found[row not in live][place] = None
    return list(found[0]), [place for place in found[1] if place not in found[0]]


def _slots(rows: NDArray[Any], places: Sequence[Place], geometry: Geometry) -> list[NDArray[Any]]:
    return [rows[place.start % geometry.shard_rows :][: place.rows] for place in places]


def _fill(reader: ArrayReader, array: str, places: Sequence[Place], slots: Sequence[NDArray[Any]]) -> None:
    wrong = reader.read(places, slots)
    if wrong is not None:
        place = places[wrong]
        raise reader.damage(
            place,
            f"rows {place.start} to {place.start + place.rows - 1} of {array} do not match their checksum.",
        )


def _reads(reader: ArrayReader, place: Place, slot: NDArray[Any]) -> bool:
    try:
        return reader.read([place], [slot]) is None
    except DamagedFile:
        return False


def _index(geometry: Geometry, chunks: int) -> bytes:
    entries = np.frombuffer(geometry.index[:-4], "<u8").reshape(-1, 2).copy()
    entries[chunks:] = EMPTY
    body = entries.tobytes()
    return body + crc32c(body).to_bytes(4, "little")
