"""The frame in which a face says most: by action units where they were measured, else by change.

Source of the AU rule: Emotion-LLaMA, arXiv 2406.11161: the frame with the largest sum of AU intensities.
Knows CSV files in OpenFace's layout and face crops; decodes nothing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo.errors import MediaError
from emo.extractors.action_units import BAD, BLINK, read_rows, row_time, successful
from emo.extractors.container import Span
from emo.views import FacesView

# What facial change is measured on when there is no action-unit file.
PEAK_FACES = FacesView(sampling="uniform:16", size=64, box="tracked", policy="largest", margin=0.1, detect=4)
JITTER = 4  # pixels of 64


def au_peak(path: Path, cut: Span, frame_rate: float) -> float:
    """Seconds from the video's start of the row with the largest sum of AU intensities but the blink.

    Rows that OpenFace marks as unsuccessful do not count. Without a `timestamp` column the 1-based
    `frame` is divided by `frame_rate`. Raises MediaError failed:bad_au_file.
    """
    best = max(_read(path, cut, frame_rate))
    return -best[1]


def au_course(path: Path, cut: Span, frame_rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (n,) and summed AU intensities (n,) of the usable rows, in order of time, read as by `au_peak`.

    Raises MediaError failed:bad_au_file.
    """
    found = sorted((-time, strength) for strength, time in _read(path, cut, frame_rate))
    times, strengths = np.array(found, dtype=np.float64).T
    return times, strengths


def _read(path: Path, cut: Span, frame_rate: float) -> list[tuple[float, float]]:
    """(sum of intensities, minus the time) of each usable row, at least one."""
    try:
        found = _strengths(read_rows(path), cut, frame_rate)
    except (OSError, ValueError, csv.Error) as error:
        raise MediaError(BAD, f"{path.name}: {error}") from error
    if not found:
        raise MediaError(BAD, f"{path.name} has no usable row with AUxx_r columns in this cut")
    return found


def change_peak(faces: NDArray[np.uint8]) -> int:
    """Index of the face (F, side, side, 3) that differs most from the clip's median face."""
    return int(face_change(faces).argmax())


def face_change(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How far each face (F, side, side, 3) is from the clip's median face, (F,): the mean over grey values.

    Each face is compared where it fits best within JITTER pixels, so that an unsteady box is no change.
    """
    grey = faces.astype(np.float32).mean(axis=-1)
    usual = np.median(grey, axis=0)[JITTER:-JITTER, JITTER:-JITTER]
    height, width = usual.shape
    offsets = [(down, right) for down in range(2 * JITTER + 1) for right in range(2 * JITTER + 1)]
    change = [
        np.abs(grey[:, down : down + height, right : right + width] - usual).mean(axis=(1, 2))
        for down, right in offsets
    ]
    return np.asarray(np.min(change, axis=0), dtype=np.float32)


def _strengths(rows: Sequence[dict[str, str]], cut: Span, frame_rate: float) -> list[tuple[float, float]]:
    """(sum of intensities, minus the time) of each usable row: of equals the earliest is the largest."""
    found = []
    for row in rows:
        units = [key for key in row if re.fullmatch(r"au\d+_r", key) and key != f"au{BLINK}_r"]
        if not units or not successful(row):
            continue
        time = row_time(row, frame_rate)
        strength = sum(float(row[key]) for key in units)
        if cut.start <= time < cut.end and np.isfinite(strength):
            found.append((strength, -time))
    return found
