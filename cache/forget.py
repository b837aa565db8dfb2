"""Forget: retract clips and overwrite their features, in every space.

A retracted row is published before a byte goes, so no reader takes zeros for features. The ids, and notes on
the clips, stay in the index until the space is compacted. Knows nothing of speakers or manifests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emo.cache import fsops
from emo.cache.geometry import Geometry
from emo.cache.index import Index
from emo.cache.publish import enter_as_writer, publish_lock
from emo.cache.reader import ArrayReader
from emo.cache.rows import Place
from emo.cache.space import Space
from emo.cache.store import FeatureCache
from emo.clip import normal_id
from emo.records import RETRACTED, Record

ZEROS = bytes(1 << 20)


@dataclass(slots=True)
class Forgotten:
    """What was forgotten of which clips, by space; `shared` names other clips whose data the same bytes
    are: those bytes stay."""

    records: dict[str, list[str]] = field(default_factory=dict)
    shared: list[tuple[str, str]] = field(default_factory=list)

    @property
    def clips(self) -> list[str]:
        """The clips that some space knew."""
        return sorted({clip_id for known in self.records.values() for clip_id in known})


def known_clips(cache: FeatureCache, clip_ids: Collection[str]) -> Forgotten:
    """What `forget` would forget."""
    found = Forgotten()
    wanted = {normal_id(clip_id) for clip_id in clip_ids}
    for space in cache.spaces():
        known = sorted(wanted & space.index.current.keys())
        if known:
            found.records[space.name] = known
            found.shared += _sharers(space.index, wanted)
    return found


def forget(cache: FeatureCache, clip_ids: Collection[str]) -> Forgotten:
    """Retract these clips and overwrite their rows; run again, it finishes what a kill cut short."""
    found = known_clips(cache, clip_ids)
    for name, known in found.records.items():
        space = cache.space(name)
        _retract(space, known)
        _overwrite(space, set(known))
    return found


def _retract(space: Space, clip_ids: Collection[str]) -> None:
    with space.writer("batch") as writer:
        for clip_id in clip_ids:
            info = space.info(clip_id)
            if info is not None and info.status != RETRACTED:
                writer.put(Record(clip_id=clip_id, status=RETRACTED, input_sha256=info.input_sha256))


def _overwrite(space: Space, clip_ids: Collection[str]) -> None:
    entered = enter_as_writer(space.paths)  # whoever compacts or seals would move rows in between
    try:
        space.refresh()
        index = space.index
        with publish_lock(space.paths):  # nor may a writer make a sealed shard whole meanwhile
            for array in space.spec.arrays:
                reader = ArrayReader(space.paths, array, space.geometry(array))
                for place in own_places(index, array, clip_ids):
                    _overwrite_rows(reader.path_of(place), place, reader.geometry)
    finally:
        fsops.close(entered)


def _overwrite_rows(shard: Path, place: Place, geometry: Geometry) -> None:
    offset = place.start % geometry.shard_rows * geometry.row_bytes
    end = offset + place.rows * geometry.row_bytes
    descriptor = fsops.open_update(shard)
    try:
        for start in range(offset, end, len(ZEROS)):
            fsops.pwrite(descriptor, ZEROS[: end - start], start)
        fsops.fdatasync(descriptor)
    finally:
        fsops.close(descriptor)


def own_places(index: Index, array: str, clip_ids: Collection[str]) -> list[Place]:
    """Where rows of these clips lie, replaced ones included, that no record of another clip names."""
    mine, theirs = _split_places(index, array, clip_ids)
    return sorted(mine.keys() - theirs.keys(), key=lambda place: place.start)


def _sharers(index: Index, clip_ids: Collection[str]) -> Iterator[tuple[str, str]]:
    for array in index.state.spec.arrays:
        mine, theirs = _split_places(index, array, clip_ids)
        yield from sorted((mine[place], theirs[place]) for place in mine.keys() & theirs.keys())


def _split_places(
    index: Index, array: str, clip_ids: Collection[str]
) -> tuple[dict[Place, str], dict[Place, str]]:
    """Places by clip: those of these clips, and those of current records of others in the same rows."""
    rows = np.array([row for row, clip_id in enumerate(index.ids) if clip_id in clip_ids], np.int64)
    mine = {
        place: index.ids[row]
        for row, place in zip(rows.tolist(), index.places(array, rows.tolist()), strict=True)
        if place.rows
    }
    same = np.isin(index.column(f"{array}_start"), [place.start for place in mine])
    same &= index.column(f"{array}_rows") > 0
    near = [row for row in np.flatnonzero(same).tolist() if index.ids[row] not in clip_ids]
    current = [row for row in near if index.current[index.ids[row]] == row]
    return mine, {
        place: index.ids[row]
        for row, place in zip(current, index.places(array, current), strict=True)
        if index.column("status")[row] != RETRACTED
    }
