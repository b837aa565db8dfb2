"""The course of a recording: how loud it is from moment to moment, and where its pictures change.

What a long video is divided by. Numbers are gathered while the file is read and no picture or sample is kept,
so memory grows by some numbers a second alone. Knows no voices and no shots.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.errors import MediaError
from emo.extractors.audio import Pieces
from emo.extractors.container import Media
from emo.extractors.pictures import EveryPicture, Picture
from emo.views import LevelView, ViewData

if TYPE_CHECKING:
    from av import AudioFrame

    from emo.extractors.decode import PictureSink

CELLS = 4  # a picture is compared in 4 x 4 parts
LEVELS = 4  # of a colour in a part's histogram
EDGE = 1e-6  # seconds by which a sample may miss the beginning of its step


class Levels:
    """The loudness of the sound in even steps; a step without samples is left out."""

    def __init__(self, view: LevelView, media: Media) -> None:
        self._hop = view.hop
        self._media = media
        self._pieces = Pieces(media.cut, media.origin)
        self._energy: defaultdict[int, float] = defaultdict(float)
        self._count: defaultdict[int, int] = defaultdict(int)

    def feed(self, frame: AudioFrame) -> None:
        """Take the next decoded frame."""
        for piece in self._pieces.of(frame):
            times = piece.time + EDGE + np.arange(len(piece.samples)) / piece.rate
            steps = (times / self._hop).astype(np.int64)
            first = int(steps[0])
            with np.errstate(over="ignore"):
                squares = np.nan_to_num(np.square(piece.samples), nan=0.0, posinf=0.0)
            energy, count = np.bincount(steps - first, squares), np.bincount(steps - first)
            for offset in np.flatnonzero(count):
                self._energy[first + int(offset)] += float(energy[offset])
                self._count[first + int(offset)] += int(count[offset])

    def view(self, degraded: str | None) -> ViewData:
        """Root mean squares (n,) with the beginnings of their steps. MediaError missing:no_audio."""
        if not self._count:
            raise MediaError("missing:no_audio", "the sound track has no samples in this cut")
        steps = sorted(self._count)
        squares = np.array([self._energy[step] / self._count[step] for step in steps])
        return ViewData(
            array=np.sqrt(squares).astype(np.float32),
            times=np.array(steps) * self._hop,
            meta=_about(self._media),
            degraded=degraded,
        )


class Changes:
    """How far each picture is from the one before."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._times: list[float] = []
        self._changes: list[float] = []
        self._last: NDArray[np.float64] | None = None
        self.sink: PictureSink = EveryPicture(self._take)

    def _take(self, picture: Picture) -> None:
        seen = colours(picture.thumbnail())
        self._changes.append(0.0 if self._last is None else difference(self._last, seen))
        self._times.append(picture.time)
        self._last = seen

    def view(self, degraded: str | None) -> ViewData:
        """The differences (n,) at the times of the pictures."""
        return ViewData(
            array=np.array(self._changes, np.float32),
            times=np.array(self._times),
            meta=_about(self._media),
            degraded=degraded,
        )


def colours(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Shares of the colours of an RGB picture (H, W, 3) in each of its parts, (parts * 3 * LEVELS,); those of
    a part and channel sum to 1. Part by part, as Nagasaka and Tanaka 1991 compare shots."""
    height, width = picture.shape[:2]
    rows, columns = (np.arange(side) * CELLS // side for side in (height, width))
    part = (rows[:, None] * CELLS + columns)[:, :, None] * 3 + np.arange(3)
    bins = (part * LEVELS + picture // (256 // LEVELS)).ravel()
    counts = np.bincount(bins, minlength=CELLS * CELLS * 3 * LEVELS).reshape(-1, LEVELS)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.asarray(shares.ravel())


def difference(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """0 where two pictures have the same `colours`, 1 where no colour of a part is one that it had before."""
    return float(np.abs(before - after).sum() / (2 * CELLS * CELLS * 3))


def _about(media: Media) -> dict[str, Json]:
    """How long the whole file is, where its header or its packets say so."""
    length = media.length
    return {"file_seconds": None if length is None or not math.isfinite(length) else round(length, 6)}
