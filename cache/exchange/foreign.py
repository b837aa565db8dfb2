"""Foreign: one array of one clip in a file of another tool, and what is refused of it.

Knows no file format and no cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.clip import normal_id
from emo.records import Array
from emo.safety.pickles import Refused as Refused
from emo.spec import ArrayKind

MOST_BYTES = 1 << 30  # of one array of one clip


@dataclass(frozen=True, slots=True)
class Given:
    """What one foreign array holds: values, the dtype to store them in, and notes for the record's meta."""

    values: Array
    dtype: str
    notes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Foreign:
    """One array of one clip in a foreign file; `read` raises Refused, and is called twice."""

    clip_id: str
    array: str
    kind: ArrayKind
    read: Callable[[], Given]

    def __post_init__(self) -> None:
        object.__setattr__(self, "clip_id", normal_id(self.clip_id))

    def look(self) -> Given:
        """`read` with values in the shape of their kind: (D,) for an utterance, else (rows, D).

        (1, D) and (D,) stand for each other. Refused where the shape is none of the kind.
        """
        given = self.read()
        values = given.values
        if self.kind == "utterance" and values.ndim == 2 and len(values) == 1:
            values = values[0]
        elif self.kind != "utterance" and values.ndim == 1:
            values = values[None]
        if values.ndim != (1 if self.kind == "utterance" else 2) or 0 in values.shape:
            raise Refused(f"clip {self.clip_id!r}: values of shape {values.shape} are no {self.kind}")
        return Given(values, given.dtype, given.notes)


def claimed_bytes(dtype: np.dtype[Any], shape: Sequence[int], where: str) -> int:
    """Bytes that an array claims. Refused where it holds no plain floats or is larger than 1 GiB."""
    if dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
        raise Refused(f"{where} holds {dtype}, not float16, float32 or float64")
    claimed = prod(int(size) for size in shape) * dtype.itemsize
    if min(shape, default=1) < 0 or claimed > MOST_BYTES:
        raise Refused(f"{where} claims the shape {tuple(shape)}; at most {MOST_BYTES} bytes are read")
    return claimed


def array_digest(values: Array) -> str:
    """SHA-256 of an array: its dtype, its shape and its bytes in C order, whatever file it came in."""
    digest = hashlib.sha256(f"{values.dtype.name} {values.shape} ".encode())
    digest.update(np.ascontiguousarray(values).data.cast("B"))
    return digest.hexdigest()


def without_zero_rows(values: NDArray[Any]) -> Given:
    """Frames (T, D) without the rows of zeros that some tools write where there is nothing.

    The notes get `length` T and, where rows went, `kept_rows`. -inf, which those tools read as 0, becomes 0,
    and `minus_inf` counts it. Frames that are zeros only stay as they are.
    """
    infinite = np.isneginf(values)
    values = np.where(infinite, values.dtype.type(0), values)
    kept = np.flatnonzero(values.any(axis=-1))
    noted: dict[str, Json] = {"length": len(values)}
    if infinite.any():
        noted["minus_inf"] = int(infinite.sum())
    if len(kept) < len(values):
        noted["kept_rows"] = [int(row) for row in kept]
    return Given(values[kept] if len(kept) else values, values.dtype.name, noted)
