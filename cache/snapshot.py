"""Snapshot: one published state of a space as it is read: its index, its readers, and where rows lie.

Knows nothing of what came after it: whoever holds it takes a newer one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from emo.cache.access import Access
from emo.cache.damage import DamagedFile
from emo.cache.feature import RecordInfo
from emo.cache.index import Index, load_index
from emo.cache.paths import SpacePaths
from emo.cache.publish import publish
from emo.cache.reader import Readers, RowReader
from emo.cache.rows import Place
from emo.cache.state import SpaceState, check_generation, check_members, load_state
from emo.errors import CacheMiss, ConfigError
from emo.records import OK, usable


class Snapshot:
    """The records of a space at one moment. `readers` makes what rows are read with."""

    def __init__(self, paths: SpacePaths, access: Access, readers: Readers) -> None:
        self._paths, self._access, self.readers = paths, access, readers
        self.state: SpaceState = load_state(paths)
        self._index: Index | None = None
        self._readers: dict[str, RowReader] = {}

    def newer(self) -> Snapshot:
        """The space as it is now. Opens shards anew: they may be other files, compacted, sealed or mended."""
        return Snapshot(self._paths, self._access, self.readers)

    @property
    def index(self) -> Index:
        """The index in memory; read and checked when first asked for.

        Where the space may be written, what killed writers left in their journals is published first.
        """
        if self._index is None:
            if self._access.writable:
                publish(self._paths)
            index = load_index(self._paths)
            try:
                check_members(self._paths, index.state)
            except DamagedFile:
                check_generation(self._paths, index.state)
                raise
            self._index, self.state = index, index.state
        return self._index

    def usable(self, status: str) -> bool:
        """Whether records of this status are shown."""
        return usable(status, accept_degraded=self._access.accept_degraded)

    def info(self, clip_id: str) -> RecordInfo | None:
        """What is known of a clip; None where nothing is. A degraded record that is accepted is `ok`."""
        index = self.index
        row = index.current.get(clip_id)
        if row is None:
            return None
        rows = {array: int(index.column(f"{array}_rows")[row]) for array in self.state.spec.arrays}
        info = RecordInfo(
            clip_id,
            index.column("status")[row],
            index.column("reason")[row],
            index.column("input_sha256")[row].tobytes(),
            {array: count for array, count in rows.items() if count},
        )
        if self.usable(info.status) and info.status != OK:
            return replace(info, status=OK, reason=info.status)
        return info

    def places(self, ids: Sequence[str], array: str) -> list[Place]:
        """Where an array of these clips lies; CacheMiss where one has none."""
        self.check_arrays([array])
        current = self.index.current
        places = self.index.places(array, [current.get(clip_id, -1) for clip_id in ids]) if current else []
        for number, clip_id in enumerate(ids):
            if clip_id not in current or not places[number].rows:
                raise self.miss(clip_id, self.info(clip_id), array)
        return places

    def fill(
        self, ids: Sequence[str], array: str, places: Sequence[Place], outs: Sequence[NDArray[Any]]
    ) -> None:
        """Read the rows at `places` into `outs`; DamagedCache names the clip whose rows are not sound."""
        reader = self.reader(array)
        wrong = reader.read(places, outs)
        if wrong is not None:
            place = places[wrong]
            raise reader.damage(
                place,
                f"rows {place.start} to {place.start + place.rows - 1}, {array} of clip {ids[wrong]!r} in "
                f"{self._paths.name}, do not match their checksum.",
            )

    def reader(self, array: str) -> RowReader:
        """The reader of one array's rows."""
        if array not in self._readers:
            geometry, check = self.state.geometry(array), self._access.check
            self._readers[array] = self.readers(self._paths, array, geometry, check)
        return self._readers[array]

    def check_arrays(self, arrays: Sequence[str]) -> None:
        """ConfigError where the space has no such array."""
        known = self.state.spec.arrays
        unknown = [array for array in arrays if array not in known]
        if unknown:
            raise ConfigError(f"{self._paths.name} has no array {unknown[0]!r}; it has {', '.join(known)}")

    def miss(self, clip_id: str, info: RecordInfo | None, array: str | None = None) -> CacheMiss:
        """The error that says why a clip has no features, or none in `array`."""
        encoder, what = self.state.spec.encoder, "features" if array is None else array
        if info is None:
            return CacheMiss(
                f"{encoder} has no {what} for clip {clip_id!r}. Run: emo extract --encoder {encoder}"
            )
        why = f" ({info.reason})" if info.reason else ""
        return CacheMiss(f"{encoder} has no {what} for clip {clip_id!r}: its status is {info.status}{why}.")
