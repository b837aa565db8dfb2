"""RecordInfo and Feature: one clip of a space, as the index knows it and as its features are read.

Knows what the encoder noted of times; nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.records import Array

if TYPE_CHECKING:
    from emo.cache.space import Space

_PRIMARY = ("frames", "tokens", "utterance")


@dataclass(frozen=True, slots=True)
class RecordInfo:
    """What the index says of a clip's current record; `rows` has the arrays that it holds."""

    clip_id: str
    status: str
    reason: str
    input_sha256: bytes
    rows: Mapping[str, int]

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that the record holds."""
        return tuple(self.rows)


class Feature:
    """The features of one clip. Arrays are read, and checked, when first asked for.

    >>> feature = emo.open("features.zarr")["hubert"]["clip1"]
    >>> feature.values.shape, bool(feature.mask.all()), sorted(feature.arrays)  # (T, D); every row is data
    ((18, 96), True, ['frames', 'utterance'])
    >>> [round(float(second), 4) for second in feature.times[:3]]  # of each row
    [0.0206, 0.0406, 0.0606]
    >>> feature.meta["media_seconds"]
    0.4

    Raises DamagedCache where the bytes are not those that were stored.
    """

    def __init__(self, space: Space, clip_id: str, info: RecordInfo) -> None:
        self._space = space
        self.clip_id = clip_id
        self.status = info.status
        self.names = info.arrays

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """Every array by name: frames (T, D), tokens (N, D), utterance (D,)."""
        return {name: self._space.read(self.clip_id, name) for name in self.names}

    @property
    def primary(self) -> str:
        """Name of the finest array: frames, else tokens, else utterance."""
        kinds = self._space.spec.arrays
        return min(self.names, key=lambda name: _PRIMARY.index(kinds[name].kind))

    @cached_property
    def values(self) -> Array:
        """The primary array: frames (T, D), tokens (N, D) or utterance (D,)."""
        return self._space.read(self.clip_id, self.primary)

    @cached_property
    def meta(self) -> dict[str, Json]:
        """What the encoder noted: times by array, boxes, flags."""
        return self._space.meta(self.clip_id)

    @property
    def times(self) -> NDArray[np.float64] | None:
        """Seconds of each row of `values`, or None where the encoder noted none."""
        noted = self.meta.get(self.primary)
        if not isinstance(noted, dict):
            return None
        if "times" in noted:
            return np.asarray(noted["times"], np.float64)
        if "t0" in noted and "dt" in noted:
            first, step = float(cast(float, noted["t0"])), float(cast(float, noted["dt"]))
            return first + step * np.arange(len(self.mask), dtype=np.float64)
        return None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(T,) or (N,) bool, the rows of `values` that are data: all, as nothing stored is padding."""
        return np.ones(len(self.values) if self.values.ndim > 1 else 1, bool)
