"""Merge: the records of several caches in one, for machines that share no disk.

The source that is named first wins where two stored different media under one id; such clips are listed. What
any source retracted is forgotten in the target. Knows nothing of which record is newer: no record says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from emo.cache.canary import LARGEST_ERROR, LEAST_COSINE, difference
from emo.cache.feature import RecordInfo
from emo.cache.forget import forget
from emo.cache.rows import Place
from emo.cache.space import Space
from emo.cache.store import FeatureCache
from emo.cache.writer import SpaceWriter
from emo.errors import StaleCache
from emo.records import RETRACTED, Record, usable

Places: TypeAlias = "tuple[Place, ...]"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A clip whose input in `source` is another than what the target holds; the target's was kept."""

    clip_id: str
    space: str
    source: str


@dataclass(slots=True)
class Merged:
    """What a merge did: records stored, records that were there already, and clips in conflict."""

    stored: int = 0
    same: int = 0
    conflicts: list[Conflict] = field(default_factory=list)


def merge(sources: Sequence[FeatureCache], target: FeatureCache) -> Merged:
    """Store in `target` what it lacks of each source, in their order; run again, it goes on.

    StaleCache where two spaces of one spec have canaries that differ: their encoders did not work alike.
    Nothing is stored then. DamagedCache where a record of a source is not what was written.
    """
    _check_canaries([*sources, target])
    merged, retracted = Merged(), set[str]()
    for source in sources:
        target.unite(source.data)
        for space in source.spaces():
            _merge_space(space, target.create(space.spec), str(source.path), merged)
            status = space.index.column("status")
            retracted |= {clip_id for clip_id, row in space.index.live() if status[row] == RETRACTED}
    if retracted:
        forget(target, retracted)
    return merged


def _check_canaries(caches: Sequence[FeatureCache]) -> None:
    first: dict[str, Space] = {}
    for space in (space for cache in caches for space in cache.spaces()):
        found = space.read_canary()
        if found is None:
            continue
        expected = first.setdefault(space.name, space).read_canary() or {}
        for name, values in expected.items():
            error, cosine = difference(values, found[name])
            if error > LARGEST_ERROR or cosine < LEAST_COSINE:
                folders = f"{first[space.name].paths.folder} and {space.paths.folder}"
                raise StaleCache(
                    f"{name} of the canary clip differs in {folders}: error {error:.2g} (at most "
                    f"{LARGEST_ERROR:g}), cosine {cosine:.6f}. Their encoders work differently. "
                    "Nothing was stored."
                )


def _merge_space(source: Space, target: Space, path: str, merged: Merged) -> None:
    canary = source.read_canary()
    if canary is not None:
        target.write_canary(canary)
    stored: dict[Places, str] = {}
    with target.writer() as writer:
        for info in list(source.infos().values()):
            held = target.info(info.clip_id)
            if held is not None and held.input_sha256 != info.input_sha256:
                merged.conflicts.append(Conflict(info.clip_id, source.name, path))
            elif held is not None and not _adds(info, held):
                merged.same += 1
            else:
                _store(writer, source, info, stored)
                merged.stored += 1
    target.refresh()


def _adds(info: RecordInfo, held: RecordInfo) -> bool:
    """Whether a record of the same input tells more than the one that is held."""
    if RETRACTED in (info.status, held.status):
        return False
    better = usable(info.status, accept_degraded=True) and not usable(held.status, accept_degraded=True)
    return better or bool(info.rows.keys() - held.rows.keys())


def _store(writer: SpaceWriter, source: Space, info: RecordInfo, stored: dict[Places, str]) -> None:
    """Store one record; a second id of data that was copied already is stored as such."""
    places = tuple(_places(source, info))
    if places and places in stored:
        writer.alias(stored[places], info.clip_id)
        return
    writer.put(
        Record(
            clip_id=info.clip_id,
            arrays={array: source.read(info.clip_id, array) for array in info.arrays},
            status=info.status,
            reason=info.reason,
            input_sha256=info.input_sha256,
            meta=source.meta(info.clip_id),
        )
    )
    stored[places] = info.clip_id


def _places(space: Space, info: RecordInfo) -> Iterator[Place]:
    row = space.index.current[info.clip_id]
    return (space.index.place(row, array) for array in info.arrays)
