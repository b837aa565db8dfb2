"""Export as plain Zarr v3: per space one group, values one after the other without gaps, default chunks.

For readers that want to slice whole arrays: no shards, no retracted rows, and `<array>_offset` (clips + 1)
says where each clip's rows begin. Knows nothing of how a cache lies on disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emo.cache.exchange.outgoing import current_infos, new_folder
from emo.cache.feature import RecordInfo
from emo.cache.format import dtype_note
from emo.cache.space import Space
from emo.canonical import canonical_json

if TYPE_CHECKING:
    import zarr

CLIPS_AT_ONCE = 256
CHUNK_BYTES = 4 << 20
TEXTS = ("clip_id", "status", "reason", "meta")


def export_zarr(spaces: Sequence[Space], out: Path) -> Iterator[str]:
    """Write every current record to the new Zarr hierarchy `out`; yields `<space> <clip id>` for each."""
    import zarr

    with new_folder(out) as folder:
        root = zarr.open_group(folder, mode="w", zarr_format=3)
        for space in spaces:
            group = root.create_group(space.name, attributes={"spec": space.spec.to_json()})
            infos = current_infos(space)
            _write_index(group, space, infos)
            for array in space.spec.arrays:
                _write_values(group, space, infos, array)
            yield from (f"{space.name} {info.clip_id}" for info in infos)


def _write_index(group: zarr.Group, space: Space, infos: Sequence[RecordInfo]) -> None:
    texts = {
        "clip_id": [info.clip_id for info in infos],
        "status": [info.status for info in infos],
        "reason": [info.reason for info in infos],
        "meta": [canonical_json(space.meta(info.clip_id)).decode() for info in infos],
    }
    for name in TEXTS:
        column = group.create_array(name, shape=(len(infos),), dtype="string", dimension_names=["clip"])
        column[:] = np.array(texts[name], dtype=np.dtypes.StringDType())
    digests = np.frombuffer(b"".join(info.input_sha256 for info in infos), np.uint8).reshape(-1, 32)
    group.create_array("input_sha256", data=digests, dimension_names=["clip", "byte"])


def _write_values(group: zarr.Group, space: Space, infos: Sequence[RecordInfo], array: str) -> None:
    geometry = space.geometry(array)
    counts = [info.rows.get(array, 0) for info in infos]
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    group.create_array(f"{array}_offset", data=offsets.astype(np.int64))
    layout = space.spec.arrays[array]
    names = [f"{array}_row", *(["token"] if layout.kind == "tokens" else []), f"{array}_channel"]
    shape = (int(offsets[-1]), *geometry.row_shape)
    values = group.create_array(
        array,
        shape=shape,
        chunks=(max(1, min(CHUNK_BYTES // geometry.row_bytes, shape[0])), *geometry.row_shape),
        dtype=geometry.dtype,
        attributes={"emo:kind": layout.kind, **dtype_note(layout.dtype)},
        dimension_names=names,
    )
    held = [info for info in infos if array in info.rows]
    start = 0
    for first in range(0, len(held), CLIPS_AT_ONCE):
        ids = [info.clip_id for info in held[first : first + CLIPS_AT_ONCE]]
        rows = [
            geometry.narrowed(one.reshape(-1, *geometry.value_shape)) for one in space.read_many(ids, array)
        ]
        block = np.concatenate(rows)
        values[start : start + len(block)] = block
        start += len(block)
