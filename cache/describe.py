"""What a cache holds, as plain JSON: one entry for each space, or one line for each clip.

Reads the index only, never the features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from emo.cache.space import Space
from emo.cache.store import FeatureCache
from emo.records import OK


def cache_info(cache: FeatureCache) -> dict[str, Any]:
    """The spaces: encoder, preset, fingerprint, number of current records, how many of each status,
    shapes of the arrays and the bytes of their rows."""
    return {"spaces": [_space_info(space) for space in cache.spaces()]}


def _space_info(space: Space) -> dict[str, Any]:
    index = space.index
    status = index.column("status").tolist()
    counts = Counter(status[row] for _, row in index.live())
    rows = {array: int(index.column(f"{array}_rows").sum()) for array in space.spec.arrays}
    geometries = {array: space.geometry(array) for array in space.spec.arrays}
    return {
        "encoder": space.spec.encoder,
        "preset": space.spec.preset,
        "fingerprint": space.spec.fingerprint,
        "records": len(index.current),
        "statuses": dict(sorted(counts.items())),
        "arrays": {array: [rows[array], *geometries[array].value_shape] for array in rows},
        "bytes": sum(rows[array] * geometries[array].row_bytes for array in rows),
    }


def cache_clips(cache: FeatureCache, *, failed: bool = False) -> Iterator[dict[str, Any]]:
    """Every clip's current record: clip id, space, status, reason and rows by array. `failed` leaves out
    those that are ok."""
    for space in cache.spaces():
        index, name = space.index, space.name
        status, reason = index.column("status").tolist(), index.column("reason").tolist()
        counts = [(array, index.column(f"{array}_rows").tolist()) for array in space.spec.arrays]
        for clip_id, row in index.live():
            if not (failed and status[row] == OK):
                yield {
                    "clip_id": clip_id,
                    "space": name,
                    "status": status[row],
                    "reason": reason[row],
                    "rows": {array: count[row] for array, count in counts if count[row]},
                }
