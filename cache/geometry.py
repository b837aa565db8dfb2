"""Where row r of a data array lies: shard, byte offset, and the index a dense shard must end with.

A dense shard is its rows one after the other, then the Zarr shard index, whose every entry is known in
advance. So a shard is valid Zarr from the moment it is made, and one read at a computed offset fetches a
record. A sealed shard is the same, cut after its last used chunk. Knows no files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

from emo.cache.format import Document
from emo.spec import ArrayLayout

ROWS_IN_CHUNK = 64
SCALE_BYTES = 4
MOST_CHUNKS = 1 << 24  # in a shard: 256 MiB of index
ABSENT = 2**64 - 1  # offset and length of an inner chunk that a shard does not hold


@dataclass(frozen=True)
class Geometry:
    """Rows and shards of one data array. A row is (D,), or (N, D) for tokens.

    `dtype` is how values are stored: bfloat16 as uint16, named by `bfloat16`. Of int8 the last axis is four
    longer than D: behind the D values stand the bytes of their scale, a little-endian float32.
    """

    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk_rows: int
    shard_rows: int
    bfloat16: bool = False

    @classmethod
    def of_layout(cls, layout: ArrayLayout, shard_bytes: int) -> Geometry:
        """The geometry of a new array: chunks of 64 rows (one slot for tokens), shards near `shard_bytes`."""
        tokens = layout.kind == "tokens"
        width = layout.dim + (SCALE_BYTES if layout.dtype == "int8" else 0)
        row_shape = (layout.tokens, width) if tokens else (width,)
        bfloat16 = layout.dtype == "bfloat16"
        dtype = np.dtype(np.uint16 if bfloat16 else layout.dtype).newbyteorder("<")
        chunk_rows = 1 if tokens else ROWS_IN_CHUNK
        chunk_bytes = chunk_rows * math.prod(row_shape) * dtype.itemsize
        return cls(row_shape, dtype, chunk_rows, chunk_rows * max(1, shard_bytes // chunk_bytes), bfloat16)

    @classmethod
    def of_metadata(cls, document: Document) -> Geometry:
        """The geometry that an array's zarr.json declares; ValueError where no writer makes such shards."""
        shard_rows, *row_shape = document["chunk_grid"]["configuration"]["chunk_shape"]
        chunk_rows = document["codecs"][0]["configuration"]["chunk_shape"][0]
        dtype = np.dtype(document["data_type"]).newbyteorder("<")
        bfloat16 = document["attributes"].get("emo:dtype") == "bfloat16"
        geometry = cls(tuple(row_shape), dtype, chunk_rows, shard_rows, bfloat16)
        whole = min(chunk_rows, shard_rows, *row_shape) > 0 and shard_rows % chunk_rows == 0
        if not whole or shard_rows // chunk_rows > MOST_CHUNKS:
            raise ValueError(f"shards of {shard_rows} rows {row_shape} in chunks of {chunk_rows}")
        return geometry

    @property
    def scaled(self) -> bool:
        """Whether values are int8 with a scale behind them."""
        return bool(self.dtype == np.int8)

    @property
    def value_shape(self) -> tuple[int, ...]:
        """(D,) or (N, D) of a row's values."""
        *outer, width = self.row_shape
        return (*outer, width - (SCALE_BYTES if self.scaled else 0))

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.row_shape) * self.dtype.itemsize

    @property
    def data_bytes(self) -> int:
        """Bytes of a shard's rows, which is where its index begins."""
        return self.shard_rows * self.row_bytes

    @property
    def file_bytes(self) -> int:
        """Bytes of a whole dense shard."""
        return self.data_bytes + len(self.index)

    @property
    def sealed_below(self) -> int:
        """A shard with fewer free rows than this takes no new writer, and is not worth sealing."""
        return self.shard_rows // 16

    @cached_property
    def index(self) -> bytes:
        """The index of a dense shard: (offset, length) of each chunk as u64, then the crc32c of that."""
        return self.sealed_index(self.shard_rows // self.chunk_rows)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of an inner chunk."""
        return self.chunk_rows * self.row_bytes

    def sealed_index(self, chunks: int) -> bytes:
        """The index of a shard that ends after `chunks` chunks: the others are marked as absent."""
        entries = np.full((self.shard_rows // self.chunk_rows, 2), ABSENT, "<u8")
        entries[:chunks, 0] = np.arange(chunks, dtype="<u8") * np.uint64(self.chunk_bytes)
        entries[:chunks, 1] = self.chunk_bytes
        body = entries.tobytes()
        return body + crc32c(body).to_bytes(4, "little")

    def shard_key(self, shard: int) -> tuple[int, ...]:
        """Grid coordinates of shard number `shard`: only the first axis is split."""
        return (shard, *(0 for _ in self.row_shape))

    def widened(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Values as NumPy has them: bfloat16 and scaled int8 become float32, all else is itself."""
        if self.scaled:
            scale = np.ascontiguousarray(stored[..., -SCALE_BYTES:]).view("<f4")
            with np.errstate(invalid="ignore"):
                widened: NDArray[np.float32] = stored[..., :-SCALE_BYTES].astype(np.float32) * scale
                return widened
        if not self.bfloat16:
            return stored
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)

    def narrowed(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values in the stored type, rounded to nearest even; too large a value becomes Inf."""
        if self.scaled:
            return _with_scale(values)
        with np.errstate(over="ignore", invalid="ignore"):
            if not self.bfloat16:
                return np.ascontiguousarray(values, dtype=self.dtype)
            bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
            even = (bits >> np.uint32(16)) & np.uint32(1)
            rounded = ((bits + np.uint32(0x7FFF) + even) >> np.uint32(16)).astype(np.uint16)
            # the carry of rounding would turn a NaN with low bits only into Inf or zero
            return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def _with_scale(values: NDArray[Any]) -> NDArray[np.int8]:
    """Rows (..., D) as int8 (..., D + 4), the largest of each at 127 and its scale behind; a row that is not
    finite keeps a scale that is not."""
    scale = np.abs(values).max(axis=-1, keepdims=True).astype("<f4") / np.float32(127)
    with np.errstate(invalid="ignore", divide="ignore"):
        codes = np.rint(values / np.where(scale == 0, 1, scale))
    codes = np.where(np.isfinite(codes), codes, 1)  # times a scale that is not finite this stays so
    bytes_of_scale = np.ascontiguousarray(scale, dtype="<f4").view(np.int8)
    return np.concatenate([codes.astype(np.int8), bytes_of_scale], axis=-1)


def index_is_sound(index: bytes) -> bool:
    """Whether the bytes of a shard index carry their own crc32c."""
    return crc32c(index[:-4]).to_bytes(4, "little") == index[-4:]
