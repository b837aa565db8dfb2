"""Action units of a clip as OpenFace writes them: one CSV row a frame, intensities 0..5 and presence 0 or 1.

Columns as in OpenFace 2.2 (wiki "Output Format"): `AUxx_r`, `AUxx_c`, `timestamp`, `frame`, `success`. Opens
no media.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.errors import MediaError
from emo.extractors.container import Span

BAD = "failed:bad_au_file"
BLINK = 45
Row: TypeAlias = dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class UnitTable:
    """Usable rows of one clip in order of time, F of them.

    `frames` (F,) counts from 0 within the cut, `times` (F,) are seconds from the video's start. `levels` maps
    a unit to its intensity (F,) in 0..5, `present` to whether OpenFace calls it present (F,). `length` is the
    number of frames of the cut, unusable ones included.
    """

    frames: NDArray[np.int64]
    times: NDArray[np.float64]
    levels: dict[int, NDArray[np.float64]]
    present: dict[int, NDArray[np.bool_]]
    length: int


def read_units(path: Path, cut: Span, frame_rate: float) -> UnitTable:
    """The action units of a cut, which is in seconds from the video's start.

    Rows that OpenFace marks as unsuccessful or that are not finite do not count. Raises MediaError
    failed:bad_au_file where the file cannot be read or has no usable row.
    """
    try:
        rows = read_rows(path)
        inside = [row for row in rows if cut.start <= row_time(row, frame_rate) < cut.end]
        usable = [(place, row) for place, row in enumerate(inside) if successful(row)]
        names = list(inside[0]) if inside else []
        levels = _columns(names, usable, "r")
        present = {unit: column >= 0.5 for unit, column in _columns(names, usable, "c").items()}
        times = np.array([row_time(row, frame_rate) for _, row in usable], dtype=np.float64)
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise MediaError(BAD, f"{path.name}: {error}") from error
    frames = np.array([place for place, _ in usable], dtype=np.int64)
    sound = np.isfinite(np.stack(list(levels.values()))).all(axis=0) if levels else np.zeros(0, bool)
    if not sound.any():
        raise MediaError(BAD, f"{path.name} has no usable row with AUxx_r columns in this cut")
    return UnitTable(
        frames=frames[sound],
        times=times[sound],
        levels={unit: column[sound] for unit, column in levels.items()},
        present={unit: column[sound] for unit, column in present.items()},
        length=len(inside),
    )


def read_rows(path: Path) -> list[Row]:
    """Rows with lower-case names; OSError, ValueError and csv.Error where the file cannot be read."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return [
            {key.strip().lower(): value.strip() for key, value in row.items() if key and value is not None}
            for row in csv.DictReader(stream)
        ]


def row_time(row: Row, frame_rate: float) -> float:
    """Seconds from the video's start; without a `timestamp` the 1-based `frame` over `frame_rate`."""
    return float(row["timestamp"]) if row.get("timestamp") else (float(row["frame"]) - 1) / frame_rate


def successful(row: Row) -> bool:
    """Whether OpenFace found the face; files without that column say nothing against it."""
    return float(row.get("success") or 1) != 0


def _columns(
    names: Sequence[str], rows: Sequence[tuple[int, Row]], kind: str
) -> dict[int, NDArray[np.float64]]:
    """Columns `AUxx_<kind>` by unit, in order of the unit."""
    found = [(int(match[1]), name) for name in names if (match := re.fullmatch(rf"au(\d+)_{kind}", name))]
    return {
        unit: np.array([float(row[name]) for _, row in rows], dtype=np.float64)
        for unit, name in sorted(found)
    }
