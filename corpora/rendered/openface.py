"""Action units of a clip as the CSV that OpenFace writes: intensities 0..5 and presence 0 or 1 a frame.

Columns as in OpenFace 2.2 (wiki "Output Format", FeatureExtraction), without pose, gaze and landmarks:
these come from a plan, not from a tracker, so confidence and success are always 1.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo.corpora.rendered.performance import Performance, unit_curves
from emo.corpora.rendered.units import OPENFACE_SCALE, PRESENT, UNITS

PRESENCE_ONLY = 28  # OpenFace reports lip suck as present or not; nobody sucks lips here
PRESENCE_UNITS = tuple(sorted((*UNITS, PRESENCE_ONLY)))
HEADER = (
    "frame",
    "timestamp",
    "confidence",
    "success",
    *(f"AU{unit:02d}_r" for unit in UNITS),
    *(f"AU{unit:02d}_c" for unit in PRESENCE_UNITS),
)


def unit_table(performance: Performance, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intensities (n, 17), 0..1, of `units.UNITS` at `times` (n,) in seconds."""
    curves = unit_curves(performance, times)
    nothing = np.zeros(len(times))
    return np.stack([curves.get(unit, nothing) for unit in UNITS], axis=1)


def write_unit_csv(path: Path, performance: Performance, times: NDArray[np.float64]) -> None:
    """Write one row for each of `times`; the file appears whole or not at all."""
    lines = [",".join(HEADER)]
    for number, (time, levels) in enumerate(zip(times, unit_table(performance, times), strict=True), start=1):
        scaled = np.round(levels * OPENFACE_SCALE, 2)
        present = dict(zip(UNITS, scaled >= PRESENT * OPENFACE_SCALE, strict=True))
        intensities = [f"{level:.2f}" for level in scaled]
        presences = [str(int(present.get(unit, False))) for unit in PRESENCE_UNITS]
        lines.append(",".join([str(number), f"{time:.3f}", "1.00", "1", *intensities, *presences]))
    partial = path.with_suffix(f".{os.getpid()}.partial")  # two runs on one folder do not meet
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(path)
