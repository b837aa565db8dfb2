"""Who speaks: how well the picture of a mouth foretells the level of the sound.

As in FaceSync (Slaney & Covell 2000, NIPS 13) a linear combination of the mouth's pixels is fitted to the
sound; here a few principal components of the mouth, on three quarters of the clip, judged on the fourth.
Knows grey pictures and samples; no files, no tracks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emo.extractors.detector import Box

MOUTH = (32, 20)  # width and height of a mouth's picture
FIT = 2  # pixels of it within which a mouth is laid over the usual one
COMPONENTS = 5
PARTS = 4  # of the clip, each foretold from the others
LEAST_FRAMES = 20
LEVEL_S = 0.06  # over which the sound's level is taken
SLOW_S = 0.5  # what is slower than syllables (an expression, a turn of the head) says nothing of speech
LAGS_S = (-0.04, 0.0, 0.04)  # sound and picture are rarely in step to the frame
RIDGE = 1e-3
SPEAKS = 0.4  # the least score of somebody who speaks


def mouth_box(face: Box) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the mouth in an upright face that MTCNN found."""
    width, height = face.right - face.left, face.bottom - face.top
    middle = (face.left + face.right) / 2
    return middle - 0.3 * width, face.top + 0.6 * height, middle + 0.3 * width, face.bottom


def speaking_score(
    times: NDArray[np.float64], mouths: NDArray[np.uint8], sound: NDArray[np.float32], rate: int, t0: float
) -> float | None:
    """Correlation, -1 to 1, of the sound's level with what the mouths (n, h, w) at `times` foretell of it.

    `sound` (S,) starts at `t0` seconds. None where nothing can be measured: too few frames, no sound, a
    mouth or a level that never changes.
    """
    if len(times) < LEAST_FRAMES or not len(sound):
        return None
    mouth = _quick(times, _components(_aligned(mouths)))
    if not mouth.any():
        return None
    levels = [_quick(times, _level(sound, rate, times - t0 + lag)[:, None])[:, 0] for lag in LAGS_S]
    scores = [_foretold(mouth, level) for level in levels if level.any()]
    return max(scores) if scores else None


def _aligned(mouths: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mouths without their rim, each where it fits best on the median one: a shaken box is no speech."""
    _, height, width = mouths.shape
    usual = np.median(mouths, axis=0).astype(np.float32)[FIT:-FIT, FIT:-FIT]
    shifts = [(down, right) for down in range(2 * FIT + 1) for right in range(2 * FIT + 1)]
    moved = [
        mouths[:, down : down + height - 2 * FIT, right : right + width - 2 * FIT] for down, right in shifts
    ]
    apart = np.stack([np.abs(one.astype(np.float32) - usual).mean(axis=(1, 2)) for one in moved])
    best = apart.argmin(axis=0)
    return np.stack([moved[shift][row] for row, shift in enumerate(best)]).astype(np.float32)


def _components(mouths: NDArray[np.float32]) -> NDArray[np.float64]:
    """The first principal components (n, COMPONENTS) of the mouths (n, h, w)."""
    flat = mouths.reshape(len(mouths), -1).astype(np.float64)
    flat -= flat.mean(axis=0)
    values, vectors = np.linalg.eigh(flat.T @ flat)
    return np.asarray(flat @ vectors[:, np.argsort(values)[::-1][:COMPONENTS]])


def _level(sound: NDArray[np.float32], rate: int, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square of the sound around each of `times`."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
    first = np.clip(((times - LEVEL_S / 2) * rate).astype(np.int64), 0, len(sound))
    last = np.clip(((times + LEVEL_S / 2) * rate).astype(np.int64), 0, len(sound))
    return np.asarray(np.sqrt(np.maximum(energy[last] - energy[first], 0.0) / np.maximum(last - first, 1)))


def _quick(times: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The columns of `values` (n, k) less their mean within SLOW_S around each moment."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    first = np.searchsorted(times, times - SLOW_S / 2, side="left")
    last = np.searchsorted(times, times + SLOW_S / 2, side="right")
    return np.asarray(values - (sums[last] - sums[first]) / (last - first)[:, None])


def _foretold(mouth: NDArray[np.float64], level: NDArray[np.float64]) -> float:
    """Correlation of the level (n,) with its ridge regression on the mouth (n, k), part by part left out."""
    part = np.arange(len(level)) * PARTS // len(level)
    told = np.zeros(len(level))
    penalty = RIDGE * len(level) * mouth.var(axis=0).mean() * np.eye(mouth.shape[1])
    for left_out in range(PARTS):
        rest = part != left_out
        x, y = mouth[rest] - mouth[rest].mean(axis=0), level[rest] - level[rest].mean()
        weights = np.linalg.solve(x.T @ x + penalty, x.T @ y)
        told[~rest] = (mouth[~rest] - mouth[rest].mean(axis=0)) @ weights
    told, level = told - told.mean(), level - level.mean()
    norm = float(np.sqrt((told @ told) * (level @ level)))
    return float(told @ level) / norm if norm > 0 else 0.0
