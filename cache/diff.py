"""Diff: how far the features of two caches, or of two spaces, are from each other, clip by clip.

For the question whether one set of features is the same as another's: a paper's, another machine's, another
version's. Says nothing of which is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from emo.cache.space import Space
from emo.records import Array

BATCH = 32


@dataclass(frozen=True, slots=True)
class Difference:
    """One array of one clip in both: cosine of the two as vectors, and the largest difference of a value.

    Both are NaN where the numbers of rows differ.
    """

    clip_id: str
    array: str
    cosine: float
    max_abs: float
    rows: tuple[int, int]


def compare(one: Space, other: Space) -> Iterator[Difference]:
    """Every clip that both have, in each array that both name, in the order of `one`.

    DamagedCache where a record is not what was written.
    """
    for array in [name for name in one.spec.arrays if name in other.spec.arrays]:
        ids = [clip_id for clip_id in one if _has(one, clip_id, array) and _has(other, clip_id, array)]
        for first in range(0, len(ids), BATCH):
            batch = ids[first : first + BATCH]
            values = zip(batch, one.read_many(batch, array), other.read_many(batch, array), strict=True)
            yield from (_difference(clip_id, array, a, b) for clip_id, a, b in values)


def _has(space: Space, clip_id: str, array: str) -> bool:
    return clip_id in space and array in space[clip_id].names


def _difference(clip_id: str, array: str, a: Array, b: Array) -> Difference:
    rows = (len(a) if a.ndim > 1 else 1, len(b) if b.ndim > 1 else 1)
    if a.shape != b.shape:
        return Difference(clip_id, array, float("nan"), float("nan"), rows)
    left, right = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    cosine = left @ right / (np.linalg.norm(left) * np.linalg.norm(right))
    return Difference(clip_id, array, float(cosine), float(np.abs(left - right).max()), rows)
