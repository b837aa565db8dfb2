"""Plain arrays in .npy files and .npz archives, read without ever unpickling.

The header is read first; memory is taken only once its claim equals what the file has. Format:
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Knows nothing of clips.
"""

from __future__ import annotations

import os
import stat
import zipfile
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from emo.cache.exchange.foreign import MOST_BYTES, Refused, claimed_bytes

MOST_HEADER = 10_000
MOST_RATIO = 100  # unpacked by packed bytes, of a member over a megabyte
SMALL_MEMBER = 1 << 20


def read_npy(path: Path) -> NDArray[Any]:
    """The array in a .npy file. Refused where it is a link, a pickle, or not of the size it claims."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Refused(f"{path.name} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Refused(f"{path.name} is no plain file")
        return _read(stream, status.st_size, path.name)


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> NDArray[Any]:
    """The array in a member of a .npz archive. Refused as `read_npy`, and where it is a bomb."""
    if info.file_size > MOST_BYTES + MOST_HEADER:
        raise Refused(f"{where} claims {info.file_size} bytes; at most {MOST_BYTES} are read")
    if info.file_size > SMALL_MEMBER and info.file_size > MOST_RATIO * max(info.compress_size, 1):
        raise Refused(f"{where} unpacks {info.compress_size} bytes to {info.file_size}, which is refused")
    try:
        with archive.open(info) as stream:
            return _read(stream, info.file_size, where)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise Refused(f"{where} cannot be unpacked: {error}") from error


def open_npz(path: Path) -> zipfile.ZipFile:
    """A .npz archive. Refused where it is a link or no archive."""
    if path.is_symlink():
        raise Refused(f"{path.name} is a link, which is refused")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise Refused(f"{path.name} is no npz archive: {error}") from error


def _read(stream: IO[bytes], size: int, where: str) -> NDArray[Any]:
    try:
        shape, fortran, dtype, header = _header(stream)
    except Exception as error:  # a hostile header breaks the parser in ways that nobody lists
        raise Refused(f"{where} is no npy array: {error!r:.200}") from error
    claimed = claimed_bytes(dtype, shape, where)
    if claimed != size - header:
        raise Refused(f"{where} claims {claimed} bytes of shape {shape} and has {size - header}")
    data = stream.read(claimed)
    if len(data) != claimed:
        raise Refused(f"{where} ends after {len(data)} of {claimed} bytes")
    values = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return values.astype(dtype.newbyteorder("="), copy=False)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran order, dtype, and the bytes of the header; ValueError where unsound."""
    version = npy_format.read_magic(stream)
    width = {(1, 0): 2, (2, 0): 4}.get(version)
    if width is None:
        raise ValueError(f"npy version {version} holds no plain numbers")
    packed = stream.read(width)
    length = int.from_bytes(packed, "little")
    if len(packed) != width or length > MOST_HEADER:
        raise ValueError(f"its header claims {length} bytes; at most {MOST_HEADER} are read")
    text = stream.read(length)
    if len(text) != length:
        raise ValueError(f"its header claims {length} bytes and has {len(text)}")
    whole = BytesIO(packed + text)
    read = npy_format.read_array_header_1_0 if width == 2 else npy_format.read_array_header_2_0
    shape, fortran, dtype = read(whole)
    return shape, fortran, dtype, len(npy_format.MAGIC_PREFIX) + 2 + width + length
