"""Pooling of frame-level features into one vector a clip.

A pooling is statistics joined by "+": "mean", "mean+std", "mean+apex". The mean alone loses the moment at
which a face shows what it feels, hence the others. Knows neither clips nor caches nor torch.

Axes: T feature frames (or tokens), D feature dim.
"""

from __future__ import annotations

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
    """(T, D) to (k D,), float32, for a pooling of k statistics; ConfigError for an unknown one."""
    names = pooling.split("+")
    if unknown := [name for name in names if name not in STATISTICS]:
        raise ConfigError(
            f"pooling {pooling!r}: no statistic {', '.join(map(repr, unknown))}. "
            f"Known: {', '.join(STATISTICS)}."
        )
    values = frames.astype(np.float32)
    return np.concatenate([STATISTICS[name](values) for name in names])
