"""The JSON of format 1: Zarr v3 metadata of groups and arrays, and the checksum each file carries of itself.

Knows what a zarr.json says, not when it is written or which rows exist.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from crc32c import crc32c

from emo.cache.damage import DamagedFile
from emo.cache.paths import METADATA
from emo.canonical import canonical_json
from emo.errors import FormatError

SCALED = "int8 times the little-endian float32 in the last four bytes of each row"
FORMAT = 1
CHUNK_ROWS = 65_536  # rows of one chunk of an index array
OWN_CRC = "emo:crc32c"

Document: TypeAlias = dict[str, Any]

_LITTLE: Document = {"name": "bytes", "configuration": {"endian": "little"}}
_CRC: Document = {"name": "crc32c"}
_ZSTD: Document = {"name": "zstd", "configuration": {"level": 1, "checksum": True}}


def stamped(document: Document) -> bytes:
    """Canonical JSON of a zarr.json with the crc32c of itself in its attributes."""
    bare = {**document, "attributes": {k: v for k, v in document["attributes"].items() if k != OWN_CRC}}
    crc = f"{crc32c(canonical_json(bare)):08x}"
    return canonical_json({**bare, "attributes": {**bare["attributes"], OWN_CRC: crc}})


def checked(data: bytes, path: Path) -> Document:
    """The document in the bytes of a zarr.json; DamagedCache unless they are exactly what was written."""
    try:
        document = json.loads(data)
        sound = isinstance(document["attributes"][OWN_CRC], str) and stamped(document) == data
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise DamagedFile(
            path, "the metadata does not match the checksum it carries. Restore it from a copy."
        )
    return dict(document)


def check_format(attributes: Mapping[str, Any], path: Path) -> None:
    """FormatError where the root group was written by another format than this release reads; DamagedCache
    where these are not the attributes of a root."""
    found = attributes.get("emo:format")
    if found is None or (found == FORMAT and "spaces" not in attributes):
        raise DamagedFile(path / METADATA, "not that of a cache's root. Restore it from a copy.")
    if found != FORMAT:
        raise FormatError(
            f"{path} is of cache format {found}; this release reads format {FORMAT}. "
            "Read it with the release that wrote it, or upgrade emo-toolkit."
        )


def group(attributes: Mapping[str, Any], consolidated: Mapping[str, Document] | None = None) -> Document:
    """A Zarr v3 group; `consolidated` is the metadata of everything below it, by relative path."""
    document: Document = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
    if consolidated is not None:
        document["consolidated_metadata"] = {
            "kind": "inline",
            "must_understand": False,
            "metadata": dict(consolidated),
        }
    return document


def data_array(
    name: str,
    kind: str,
    dtype: str,
    row_shape: tuple[int, ...],
    chunk_rows: int,
    shard_rows: int,
) -> Document:
    """An empty data array: uncompressed inner chunks in shards whose index stands at the end.

    Dimension names begin with the array's own name: one name for the rows of several arrays would have
    to have one size.
    """
    inner = {
        "chunk_shape": [chunk_rows, *row_shape],
        "codecs": [_LITTLE],
        "index_codecs": [_LITTLE, _CRC],
        "index_location": "end",
    }
    axes = ("slot", "token", "channel") if kind == "tokens" else ("row", "channel")
    attributes = {"emo:kind": kind, **dtype_note(dtype)}
    return _array(
        shape=[0, *row_shape],
        chunk=[shard_rows, *row_shape],
        data_type="uint16" if dtype == "bfloat16" else dtype,
        fill=0 if dtype in ("bfloat16", "int8") else 0.0,
        codecs=[{"name": "sharding_indexed", "configuration": inner}],
        dimensions=[f"{name}_{axis}" for axis in axes],
        attributes=attributes,
    )


def dtype_note(dtype: str) -> dict[str, str]:
    """The attribute of an array whose values are not what its Zarr type says."""
    notes = {"bfloat16": "bfloat16", "int8": SCALED}
    return {"emo:dtype": notes[dtype]} if dtype in notes else {}


def text_column() -> Document:
    """An empty index array of strings, one for each record."""
    return _array(
        shape=[0],
        chunk=[CHUNK_ROWS],
        data_type="string",
        fill="",
        codecs=[{"name": "vlen-utf8"}, _ZSTD, _CRC],
        dimensions=["clip"],
    )


def number_column(data_type: str, width: int | None = None) -> Document:
    """An empty index array of numbers: one for each record, or `width` bytes of a digest."""
    tail = [] if width is None else [width]
    return _array(
        shape=[0, *tail],
        chunk=[CHUNK_ROWS, *tail],
        data_type=data_type,
        fill=0,
        codecs=[{"name": "bytes"} if data_type == "uint8" else _LITTLE, _ZSTD, _CRC],
        dimensions=["clip", *["digest_byte" for _ in tail]],
    )


def canary_array(name: str, shape: Sequence[int], data_type: str) -> Document:
    """The encoder's output on the canary clip: one chunk with its crc32c."""
    return _array(
        shape=list(shape),
        chunk=list(shape),
        data_type=data_type,
        fill=0.0,
        codecs=[_LITTLE, _CRC],
        dimensions=[f"canary_{name}_{axis}" for axis in range(len(shape))],
    )


def _array(
    *,
    shape: list[int],
    chunk: list[int],
    data_type: str,
    fill: float | str,
    codecs: list[Document],
    dimensions: list[str],
    attributes: Mapping[str, Any] | None = None,
) -> Document:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": codecs,
        "dimension_names": dimensions,
        "storage_transformers": [],
        "attributes": dict(attributes or {}),
    }
