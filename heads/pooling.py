"""Pooling of frame-level features into one vector a clip, or into a few.

A pooling is statistics joined by "+": "mean", "mean+std", "mean+apex". The mean alone loses the moment at
which a face shows what it feels, hence the others. "bins16" keeps the order of time: at most 16 means of
neighbouring frames. Knows neither clips nor caches nor torch.

Axes: T feature frames (or tokens), D feature dim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from emo.errors import ConfigError

Floats = NDArray[np.float32]


def _mean(frames: Floats) -> Floats:
    return np.asarray(frames.mean(axis=0))


def _std(frames: Floats) -> Floats:
    return np.asarray(frames.std(axis=0))


def _range(frames: Floats) -> Floats:
    return np.asarray(frames.max(axis=0) - frames.min(axis=0))


def _apex(frames: Floats) -> Floats:
    """The frame farthest from the first one, minus the first: identity cancels, the expression stays."""
    change = frames - frames[0]
    return np.asarray(change[np.argmax((change * change).sum(axis=1))])


def _first(frames: Floats) -> Floats:
    """Row 0: the first frame, or the class token of a ViT."""
    return np.asarray(frames[0])


STATISTICS: Mapping[str, Callable[[Floats], Floats]] = {
    "mean": _mean,
    "std": _std,
    "range": _range,
    "apex": _apex,
    "first": _first,
}


def pool(frames: NDArray[np.generic], pooling: str) -> Floats:
    """(T, D) to (k D,), float32, for a pooling of k statistics; ConfigError for an unknown one.

    For "bins<n>" (min(T, n), D): means of n stretches of frames whose lengths differ by one at most.
    """
    if bins := bins_of(pooling):
        return _binned(frames.astype(np.float32), bins)
    names = pooling.split("+")
    if unknown := [name for name in names if name not in STATISTICS]:
        raise ConfigError(
            f"pooling {pooling!r}: no statistic {', '.join(map(repr, unknown))}. "
            f"Known: {', '.join(STATISTICS)}, and bins16 or the like alone."
        )
    values = frames.astype(np.float32)
    return np.concatenate([STATISTICS[name](values) for name in names])


def bins_of(pooling: str) -> int:
    """The number of stretches that "bins<n>" asks for, 0 for any other pooling."""
    found = re.fullmatch(r"bins([1-9]\d{0,3})", pooling)
    return int(found.group(1)) if found else 0


def _binned(frames: Floats, bins: int) -> Floats:
    count = min(bins, len(frames))
    edges = np.arange(count + 1) * len(frames) // count
    sums = np.add.reduceat(frames, edges[:-1], axis=0, dtype=np.float64)
    return np.asarray(sums / np.diff(edges)[:, None], dtype=np.float32)
