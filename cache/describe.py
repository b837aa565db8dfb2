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
    counts = Counter(index.column("status")[index.live_rows].tolist())
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


def clips_of(space: Space, *, failed: bool = False) -> Iterator[tuple[str, str, str, tuple[int, ...]]]:
    """Every clip's current record: clip id, status, reason, and its rows in each array of the spec.

    `failed` leaves out those that are ok.
    """
    index = space.index
    names = ("status", "reason", *(f"{array}_rows" for array in space.spec.arrays))
    status, reason, *rows = (index.column(name)[index.live_rows].tolist() for name in names)
    clips = zip(index.current, status, reason, zip(*rows, strict=True), strict=True)
    return (clip for clip in clips if clip[1] != OK) if failed else clips


def cache_clips(cache: FeatureCache, *, failed: bool = False) -> Iterator[dict[str, Any]]:
    """`clips_of` of every space by name: clip id, space, status, reason and rows by array."""
    for space in cache.spaces():
        name, arrays = space.name, tuple(space.spec.arrays)
        for clip_id, status, reason, rows in clips_of(space, failed=failed):
            yield {
                "clip_id": clip_id,
                "space": name,
                "status": status,
                "reason": reason,
                "rows": {array: count for array, count in zip(arrays, rows, strict=True) if count},
            }
