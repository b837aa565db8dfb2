"""The chunks of the index arrays: values to bytes and back, with every checksum on the way.

An index array is append-only, so its digest is a running crc32c over the values' bytes: little-endian
numbers, or for text the length (u32) and UTF-8 of each. Unlike a chunk's own checksum it notices a chunk
that is missing, stale or in another's place. Knows no meaning of any column.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

from emo.cache import fsops
from emo.cache.damage import DamagedFile
from emo.cache.format import CHUNK_ROWS, Document, number_column, text_column
from emo.cache.paths import SpacePaths

_LENGTH = struct.Struct("<I")
_ZSTD_LEVEL = 1
MOST_CHUNK_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Digest:
    """What an index array holds: the number of its values and the running crc32c of their bytes."""

    length: int = 0
    crc: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """One index array: `dtype` None is text; `width` is the bytes of a digest column."""

    name: str
    dtype: str | None = None
    width: int | None = None

    @property
    def metadata(self) -> Document:
        """The zarr.json of the array while it is empty."""
        if self.dtype is None:
            return text_column()
        return number_column(np.dtype(self.dtype).name, self.width)

    @property
    def item_bytes(self) -> int:
        """Bytes of one value, or of one empty text."""
        return _LENGTH.size if self.dtype is None else np.dtype(self.dtype).itemsize * (self.width or 1)

    def key(self, chunk: int) -> tuple[int, ...]:
        """Grid coordinates of chunk number `chunk`."""
        return (chunk,) if self.width is None else (chunk, 0)

    def body(self, values: Sequence[Any]) -> bytes:
        """The bytes of some values, as the digest counts them."""
        if self.dtype is None:
            return b"".join(_LENGTH.pack(len(text)) + text for text in (value.encode() for value in values))
        return np.asarray(values, dtype=self.dtype).tobytes()

    def values(self, body: bytes, count: int) -> NDArray[Any]:
        """The `count` values in their bytes: object array of str, or numbers."""
        if self.dtype is not None:
            shape = (count,) if self.width is None else (count, self.width)
            return np.frombuffer(body, self.dtype).reshape(shape)
        from numcodecs.vlen import VLenUTF8  # type: ignore[import-untyped]

        return np.asarray(VLenUTF8().decode(_LENGTH.pack(count) + body), dtype=object)


def index_columns(arrays: Sequence[str]) -> list[Column]:
    """The index arrays of a space with these data arrays, in the order they are written."""
    fixed = [Column(name) for name in ("clip_id", "status", "reason", "meta")]
    digest = Column("input_sha256", "u1", 32)
    placed = [
        Column(f"{array}_{what}", dtype)
        for array in arrays
        for what, dtype in (("start", "<i8"), ("rows", "<i4"), ("crc32c", "<u4"))
    ]
    return [*fixed, digest, *placed]


def encode_chunk(column: Column, body: bytes, count: int) -> bytes:
    """The file of a chunk whose first `count` values have these bytes and whose others are the fill."""
    from numcodecs import zstd  # type: ignore[import-untyped]

    header = _LENGTH.pack(CHUNK_ROWS) if column.dtype is None else b""
    whole = header + body + bytes(column.item_bytes * (CHUNK_ROWS - count))
    packed = bytes(zstd.compress(whole, _ZSTD_LEVEL, True))
    return packed + _LENGTH.pack(crc32c(packed))


def decode_chunk(column: Column, data: bytes, count: int) -> bytes:
    """The bytes of the first `count` values in a chunk's file; ValueError where they are not sound."""
    from numcodecs import zstd

    if len(data) < _LENGTH.size or _LENGTH.pack(crc32c(data[:-4])) != data[-4:]:
        raise ValueError("the chunk does not match its crc32c")
    if _unpacked_bytes(data) > MOST_CHUNK_BYTES:
        raise ValueError(f"the chunk claims more than {MOST_CHUNK_BYTES} bytes")
    try:
        whole = bytes(zstd.decompress(data[:-4]))
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    if column.dtype is not None:
        if len(whole) != CHUNK_ROWS * column.item_bytes:
            raise ValueError(f"the chunk holds {len(whole)} bytes")
        return whole[: count * column.item_bytes]
    body = whole[_LENGTH.size :]
    return body if count == CHUNK_ROWS else body[: _text_end(body, count)]


def _unpacked_bytes(packed: bytes) -> int:
    """What a zstd frame says it unpacks to (RFC 8878, 3.1.1.1), before any memory is taken for it."""
    if len(packed) < 18:
        return 0  # too short to hold a frame of a chunk: unpacking says so
    descriptor = packed[4]
    single, dictionary = descriptor >> 5 & 1, (0, 1, 2, 4)[descriptor & 3]
    width = (single, 2, 4, 8)[descriptor >> 6]
    begin = 5 + (1 - single) + dictionary
    return int.from_bytes(packed[begin : begin + width], "little")


def _text_end(body: bytes, count: int) -> int:
    end = 0
    for _ in range(count):
        if end + _LENGTH.size > len(body):
            raise ValueError("the chunk ends inside a text")
        end += _LENGTH.size + int(_LENGTH.unpack_from(body, end)[0])
    return end


def read_chunk(paths: SpacePaths, column: Column, chunk: int, count: int) -> bytes:
    """`decode_chunk` of a chunk on disk; DamagedCache with its path where it is missing or unsound."""
    path = paths.chunk(column.name, column.key(chunk))
    try:
        return decode_chunk(column, fsops.read_file(path), count)
    except FileNotFoundError:
        raise DamagedFile(path, f"missing, with {count} index values. Restore it from a copy.") from None
    except ValueError as error:
        raise DamagedFile(path, f"{error}. Restore it from a copy.") from error


def read_column(paths: SpacePaths, column: Column, digest: Digest) -> NDArray[Any]:
    """All published values of an index array, checked against its digest."""
    bodies, crc = [], 0
    for chunk, count in _chunk_counts(digest.length):
        bodies.append((read_chunk(paths, column, chunk, count), count))
        crc = crc32c(bodies[-1][0], crc)
    if crc != digest.crc:
        raise DamagedFile(
            paths.folder / column.name,
            f"{digest.length} values do not match the checksum that the space keeps of them: a chunk is "
            "stale or in another's place. Restore the folder from a copy.",
        )
    return np.concatenate([column.values(body, count) for body, count in bodies or [(b"", 0)]])


def _chunk_counts(length: int) -> Iterator[tuple[int, int]]:
    for chunk, start in enumerate(range(0, length, CHUNK_ROWS)):
        yield chunk, min(CHUNK_ROWS, length - start)


def append_values(
    paths: SpacePaths, column: Column, digest: Digest, values: Sequence[Any], *, durable: bool
) -> Digest:
    """Add values after the published ones; rewrites only the chunk that was not full. The new digest.

    A chunk changes by rename, so a reader of the older digest still finds its values in it.
    """
    length, crc = digest.length, digest.crc
    for start in _splits(length, len(values)):
        stop = start + CHUNK_ROWS - length % CHUNK_ROWS
        body = column.body(values[start:stop])
        added = min(stop, len(values)) - start
        chunk, held = divmod(length, CHUNK_ROWS)
        before = read_chunk(paths, column, chunk, held) if held else b""
        path = paths.chunk(column.name, column.key(chunk))
        fsops.make_folder(path.parent)
        data = encode_chunk(column, before + body, held + added)
        fsops.replace_file(path, data, paths.scratch("index"), durable=durable)
        if durable:
            new_names = 1 if held else len(column.key(chunk)) + 1
            for folder in list(path.parents)[:new_names]:
                fsops.sync_folder(folder)
        length, crc = length + added, crc32c(body, crc)
    return Digest(length, crc)


def _splits(length: int, added: int) -> Iterator[int]:
    """Where to cut `added` values so that each piece ends where a chunk of the index does."""
    start = 0
    while start < added:
        yield start
        start += CHUNK_ROWS - (length + start) % CHUNK_ROWS
