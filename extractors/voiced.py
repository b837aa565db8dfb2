"""When somebody speaks, by the level of the sound alone: what is loud for this recording.

A stretch begins above one level and ends below a lower one. Music and traffic are loud too, and count:
nothing here knows what a voice is. Knows levels and times; no files.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.config.timeline import DEFAULTS, TimelineConfig

Stretch: TypeAlias = tuple[float, float]  # from, to, in seconds

SILENCE_DB = -65.0  # of full scale: nothing quieter is a voice
LOUD, QUIET = 95, 10  # percentiles of the levels that are heard at all
SMOOTH_S = 0.06  # levels are means over this long, so that a single wave is no stretch


def decibels(levels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Root mean squares as decibels of full scale, silence as -120."""
    return np.asarray(20 * np.log10(np.maximum(levels.astype(np.float64), 1e-6)))


def voiced_stretches(
    levels: NDArray[np.float32],
    times: NDArray[np.float64],
    hop: float,
    config: TimelineConfig = DEFAULTS,
) -> list[Stretch]:
    """When a sound is voice, whose root mean squares are `levels` (n,), `hop` seconds each from `times` (n,).

    A step that is missing is quiet.
    """
    if not len(levels):
        return []
    loudness = _smoothed(decibels(levels), max(1, round(SMOOTH_S / hop)))
    begins = _threshold(loudness, config)
    found = _joined(_loud(loudness, times, hop, begins, begins - config.hysteresis), config.shortest_pause)
    return [(start, end) for start, end in found if end - start >= config.shortest_voice]


def _threshold(loudness: NDArray[np.float64], config: TimelineConfig) -> float:
    """The level at which a voice begins: so far below the loud moments, so far above the quiet ones."""
    heard = loudness[loudness > SILENCE_DB]
    if not len(heard):
        return float("inf")
    loud, quiet = np.percentile(heard, LOUD), np.percentile(loudness, QUIET)
    below = float(loud) - config.voice_below_peak
    noise = float(quiet) + config.above_noise
    # where quiet moments are nearly as loud as loud ones there is no noise to tell from the voice
    return max(SILENCE_DB, below, noise if noise < loud - config.above_noise else below)


def _loud(
    loudness: NDArray[np.float64], times: NDArray[np.float64], hop: float, begins: float, ends: float
) -> list[Stretch]:
    """Stretches above `begins` somewhere and above `ends` all along."""
    kept = loudness > ends
    broken = np.diff(times) > 1.5 * hop
    edges = np.flatnonzero((kept[1:] != kept[:-1]) | broken) + 1
    runs = np.split(np.arange(len(kept)), edges)
    return [
        (float(times[run[0]]), float(times[run[-1]]) + hop)
        for run in runs
        if kept[run[0]] and loudness[run].max() > begins
    ]


def _joined(stretches: list[Stretch], least_pause: float) -> list[Stretch]:
    found: list[Stretch] = []
    for start, end in stretches:
        if found and start - found[-1][1] < least_pause:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _smoothed(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.asarray(np.convolve(padded, np.full(width, 1 / width), mode="valid"))
