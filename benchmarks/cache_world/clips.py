"""Made clips as long as those of a speech encoder at 50 Hz, and caches filled with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.cache import Space, open_cache
from emo.config.cache import Durability
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

Clips: TypeAlias = Sequence[NDArray[np.float16]]

POOL_ROWS = 2_000


def make_clips(count: int, dim: int, seed: int) -> Clips:
    """(T, dim) float16 with T from 50 to 400, each in memory of its own, so that a copy reads memory."""
    rng = np.random.default_rng(seed)
    pool = rng.normal(size=(POOL_ROWS, dim)).astype(np.float16)
    lengths = rng.integers(50, 401, count)
    starts = rng.integers(0, len(pool) - lengths)
    return [pool[start : start + length].copy() for start, length in zip(starts, lengths, strict=True)]


def spec_of(dim: int) -> FeatureSpec:
    """The spec of the made clips."""
    layout = ArrayLayout(kind="frames", dim=dim)
    return FeatureSpec(encoder="bench", weights={}, recipe={}, recipe_version=1, arrays={"frames": layout})


def new_space(path: Path, dim: int) -> Space:
    """An empty space of a new cache."""
    return open_cache(path, "a").create(spec_of(dim))


def write_cache(
    space: Space, clips: Clips, durability: Durability = "none", numbers: Sequence[int] | None = None
) -> None:
    """Store clips as ids `0`, `1`, ... and publish them."""
    with space.writer(durability) as writer:
        for number in range(len(clips)) if numbers is None else numbers:
            writer.put(Record(clip_id=str(number), arrays={"frames": clips[number]}))


def payload(clips: Clips) -> int:
    """Bytes of all values."""
    return sum(clip.nbytes for clip in clips)


def allocated(folder: Path) -> int:
    """Bytes that the files below a folder take on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def files_in(folder: Path) -> int:
    """How many files lie below a folder."""
    return sum(1 for path in folder.rglob("*") if path.is_file())


def as_array(clips: Clips) -> NDArray[Any]:
    """Rows of all clips one after the other."""
    return np.concatenate(clips)
