"""Requeue: records whose bytes are damaged get a row that the next extraction encodes again.

The row says `failed:damaged` of the same input. Knows nothing of encoders, and repairs nothing else: what is
wrong with an index, a journal or a zarr.json belongs to no single record.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from emo.cache.damage import DamagedFile
from emo.cache.freshness import TO_REDO
from emo.cache.space import Space
from emo.cache.store import FeatureCache
from emo.cache.verify import Check, Verification
from emo.records import RETRACTED, Record


def requeue(cache: FeatureCache, found: Verification) -> list[Check]:
    """Replace the damaged records that a verification of this cache found; what of the damage that settles.

    Each is read again: what was stored anew in the meantime stays. CacheError where the cache was opened to
    read, DamagedCache where the space's index or journals cannot be trusted either.
    """
    by_space: dict[str, list[Check]] = defaultdict(list)
    for check in found.bad:
        if check.clip_id:
            encoder, short = Path(check.file).relative_to(cache.path).parts[:2]
            by_space[f"{encoder}/{short}"].append(check)
    return [done for name, bad in by_space.items() for done in _requeue_in(cache.space(name), bad)]


def _requeue_in(space: Space, bad: list[Check]) -> list[Check]:
    clip_ids = sorted({check.clip_id for check in bad})
    records = {clip_id: record for clip_id in clip_ids if (record := _to_redo(space, clip_id))}
    with space.writer("batch") as writer:
        for record in records.values():
            writer.put(record)
    return [check for check in bad if check.clip_id in records]


def _to_redo(space: Space, clip_id: str) -> Record | None:
    """What to store in place of a record; None where it is sound or retracted by now."""
    info = space.info(clip_id)
    if info is None or info.status == RETRACTED:
        return None
    try:
        for array in info.arrays:
            space.read(clip_id, array)
    except DamagedFile as error:
        return Record(clip_id=clip_id, status=TO_REDO, reason=str(error), input_sha256=info.input_sha256)
    return None
