"""Export as Parquet: one file a space, one row a clip, arrays as lists of float32 or float64.

For pandas, polars, DuckDB and Spark. Frames and tokens are lists of rows. float16 and bfloat16 go out as
float32, which loses nothing. Needs pyarrow. Knows nothing of how a cache lies on disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emo.cache.exchange.outgoing import current_infos, file_stem, new_folder
from emo.cache.feature import RecordInfo
from emo.cache.space import Space
from emo.canonical import canonical_json
from emo.errors import MissingDependency

CLIPS_AT_ONCE = 256


def export_parquet(spaces: Sequence[Space], out: Path) -> Iterator[str]:
    """Write every current record to files in the new folder `out`; yields `<space> <clip id>` for each.

    MissingDependency where pyarrow is not installed.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependency("Parquet needs pyarrow. Run: pip install 'emo-toolkit[exchange]'") from error
    with new_folder(out) as folder:
        for space in spaces:
            schema = _schema(space)
            with pq.ParquetWriter(folder / f"{file_stem(space)}.parquet", schema) as writer:
                infos = current_infos(space)
                for first in range(0, len(infos), CLIPS_AT_ONCE):
                    some = infos[first : first + CLIPS_AT_ONCE]
                    writer.write_batch(_batch(space, some, schema))
                    yield from (f"{space.name} {info.clip_id}" for info in some)


def _schema(space: Space) -> Any:
    import pyarrow as pa

    fields = [pa.field(name, pa.string()) for name in ("clip_id", "status", "reason", "meta")]
    fields.append(pa.field("input_sha256", pa.binary(32)))
    for array, layout in space.spec.arrays.items():
        numbers = pa.list_(pa.float64() if layout.dtype == "float64" else pa.float32())
        fields.append(pa.field(array, numbers if layout.kind == "utterance" else pa.list_(numbers)))
    return pa.schema(fields, metadata={"emo:spec": canonical_json(space.spec.to_json())})


def _batch(space: Space, infos: Sequence[RecordInfo], schema: Any) -> Any:
    import pyarrow as pa

    columns: list[list[Any]] = [
        [info.clip_id for info in infos],
        [info.status for info in infos],
        [info.reason for info in infos],
        [canonical_json(space.meta(info.clip_id)).decode() for info in infos],
        [info.input_sha256 for info in infos],
    ]
    for array, layout in space.spec.arrays.items():
        held = [info.clip_id for info in infos if array in info.rows]
        wide = np.float64 if layout.dtype == "float64" else np.float32
        read = iter(space.read_many(held, array))
        columns.append([list(next(read).astype(wide)) if array in info.rows else None for info in infos])
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)
