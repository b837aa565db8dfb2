"""Safetensors files: read after their header was checked, written a part at a time.

The library's NumPy side has no bfloat16 and its writer wants all tensors at once, hence this page. Format:
https://github.com/huggingface/safetensors, README. Knows nothing of clips.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.cache.exchange.foreign import Given, Refused, claimed_bytes
from emo.canonical import canonical_json

MOST_HEADER = 25_000_000
METADATA = "__metadata__"
_DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
_CODES = {name: code for code, name in _DTYPES.items()}
_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where one tensor lies: `start` counts from the beginning of the file."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int

    def read(self) -> Given:
        """Its values; bfloat16 comes as float32. Refused where it holds no floats."""
        dtype = _DTYPES.get(self.dtype)
        if dtype is None:
            raise Refused(f"{self.path.name}:{self.name} holds {self.dtype}, not {', '.join(_DTYPES)}")
        stored = np.dtype(np.uint16 if dtype == "bfloat16" else dtype).newbyteorder("<")
        with self.path.open("rb") as stream:
            data = os.pread(stream.fileno(), stored.itemsize * prod(self.shape), self.start)
        values: NDArray[Any] = np.frombuffer(data, stored).reshape(self.shape)
        if dtype == "bfloat16":
            values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return Given(values, dtype)


def open_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name; Refused where its header is not that of a whole, gapless file."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > min(MOST_HEADER, size - 8):
                raise Refused(
                    f"{path} claims a header of {length} bytes and has {size}; at most {MOST_HEADER} are read"
                )
            header = json.loads(stream.read(length), object_pairs_hook=_once)
    except (OSError, ValueError, RecursionError) as error:
        raise Refused(f"{path} is no safetensors file: {error!r:.200}") from error
    if not isinstance(header, dict):
        raise Refused(f"{path} is no safetensors file: its header is no object")
    header.pop(METADATA, None)
    try:
        spans = {
            name: (entry["data_offsets"], entry["dtype"], entry["shape"]) for name, entry in header.items()
        }
        tensors = {
            name: Tensor(path, name, str(dtype), tuple(map(int, shape)), 8 + length + int(offsets[0]))
            for name, (offsets, dtype, shape) in spans.items()
        }
        ends = {name: int(offsets[1]) for name, (offsets, _, _) in spans.items()}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Refused(f"{path} has a header that names no tensors: {error!r:.200}") from error
    place = 8 + length
    for tensor in sorted(tensors.values(), key=lambda one: (one.start, ends[one.name])):
        end = 8 + length + ends[tensor.name]
        if tensor.start != place or end < place or end > size:
            raise Refused(f"{path}: {tensor.name!r} lies at bytes {tensor.start} to {end}, not from {place}")
        if tensor.dtype in _DTYPES:
            _check_size(tensor, end - place)
        place = end
    if place != size:
        raise Refused(f"{path} has {size} bytes; its tensors end at {place}")
    return tensors


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _check_size(tensor: Tensor, held: int) -> None:
    name = _DTYPES[tensor.dtype]
    where = f"{tensor.path}:{tensor.name}"
    claimed = claimed_bytes(np.dtype("float16" if name == "bfloat16" else name), tensor.shape, where)
    if claimed != held:
        raise Refused(f"{where} claims {claimed} bytes and has {held}")


def write_safetensors(path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write a new file; arrays of uint16 are bfloat16. FileExistsError where it is there."""
    header: dict[str, Any] = {METADATA: dict(metadata)}
    place = 0
    for name, values in tensors.items():
        code = _CODES["bfloat16" if values.dtype == np.uint16 else values.dtype.name]
        header[name] = {
            "dtype": code,
            "shape": list(values.shape),
            "data_offsets": [place, place + values.nbytes],
        }
        place += values.nbytes
    text = canonical_json(header)
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("xb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for values in tensors.values():
            stream.write(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes())
