"""Where expressions begin, are largest and end, from how much a face shows over time.

The course is the sum of action units where they were measured, else the change of the face. Knows numbers;
no pictures but small grey faces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FACE_SIDE = 32  # pixels of the small grey faces whose change is measured
FIT = 2  # pixels of them within which a face is laid over the usual one
FRAMES_AN_EXPRESSION = 3
RISE = 0.8  # an expression reaches from where it is this share of its prominence below its apex


def change_course(faces: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How far each small grey face (n, side, side) is from the clip's median face, (n,) in grey levels.

    Each is laid over it where it fits best, so that an unsteady box is no change.
    """
    usual = np.median(faces, axis=0).astype(np.float32)[FIT:-FIT, FIT:-FIT]
    height, width = usual.shape
    least = np.full(len(faces), np.inf, dtype=np.float32)
    for down in range(2 * FIT + 1):
        for right in range(2 * FIT + 1):
            moved = faces[:, down : down + height, right : right + width].astype(np.float32)
            least = np.minimum(least, np.abs(moved - usual).mean(axis=(1, 2)))
    return least.astype(np.float64)


def expressive_moments(
    times: NDArray[np.float64], course: NDArray[np.float64], start: float, end: float, count: int
) -> list[float]:
    """`count` moments in order: apex, onset and offset of the expressions that stand out most, and then,
    again and again, the middle of the widest gap between `start` and `end`.

    At most three quarters of the moments belong to expressions. A flat course gives evenly spread moments.
    """
    chosen: list[float] = []
    for apex, onset, offset in _expressions(course)[: max(1, count // 4)]:
        for index in (apex, onset, offset)[: max(0, count - len(chosen))]:
            if (moment := float(times[index])) not in chosen:
                chosen.append(moment)
    edges = sorted([start, *chosen, end])
    while len(edges) < count + 2:
        gaps = np.diff(edges)
        widest = int(gaps.argmax())
        edges.insert(widest + 1, edges[widest] + float(gaps[widest]) / 2)
    return edges[1:-1]


def _expressions(course: NDArray[np.float64]) -> list[tuple[int, int, int]]:
    """Indices of (apex, onset, offset), the most prominent first; of equals the earlier."""
    from scipy.signal import find_peaks

    if not len(course):
        return []
    low = float(course.min())
    bounded = np.concatenate([[low], course, [low]])  # an expression may begin before the clip, or outlast it
    peaks, facts = find_peaks(bounded, prominence=1e-9)
    ranked = sorted(zip(-facts["prominences"], (peaks - 1).tolist(), strict=True))
    return [(apex, *_reach(course, apex, -prominence)) for prominence, apex in ranked]


def _reach(course: NDArray[np.float64], apex: int, prominence: float) -> tuple[int, int]:
    """Where the course last was, and is again, RISE of the prominence below the apex."""
    low = np.flatnonzero(course <= course[apex] - RISE * prominence)
    before, after = low[low < apex], low[low > apex]
    return int(before[-1]) if len(before) else 0, int(after[0]) if len(after) else len(course) - 1
