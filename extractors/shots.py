"""Where one shot ends and the next begins: pictures that differ far more than their neighbours do.

A fade or a slow dissolve is no such place. Knows differences and times; no pictures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emo.config.timeline import DEFAULTS, TimelineConfig

AROUND_S = 1.0  # on either side, within which a change has to stand out


def shot_cuts(
    changes: NDArray[np.float32], times: NDArray[np.float64], config: TimelineConfig = DEFAULTS
) -> list[float]:
    """Times of the first pictures of new shots, by the `changes` (n,) of the pictures at `times` (n,)."""
    found: list[float] = []
    large = np.flatnonzero(changes >= config.shot_change)
    for place in large[np.argsort(-changes[large], kind="stable")]:
        time = float(times[place])
        first, last = np.searchsorted(times, [time - AROUND_S, time + AROUND_S])
        around = np.delete(changes[first:last], place - first)
        usual = float(np.median(around)) if len(around) else 0.0
        apart = all(abs(time - other) >= config.shortest_shot for other in found)
        if apart and changes[place] >= config.shot_stands_out * usual:
            found.append(time)
    return sorted(found)
