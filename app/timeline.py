"""What a clip shows over time: how loud it is, how far the face is from its usual look, and where that peaks.

Made of views that are read in the limited worker. Knows no models and draws nothing.

Axes: F faces, side pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emo.clip import Clip
from emo.errors import MediaError
from emo.extractors.container import Span
from emo.extractors.media import ReadViews
from emo.extractors.peak import PEAK_FACES, au_course, face_change
from emo.views import AudioView, FacesView, FrameView, View, ViewData

WINDOW_S = 0.05  # of sound energy
QUIET_DB = -60.0  # drawn as silence
SOUND = AudioView()
FACES = FacesView(sampling=PEAK_FACES.sampling, size=96, box="tracked", margin=0.2, detect=PEAK_FACES.detect)
PEAK = FrameView(choice="peak")
NEEDS: frozenset[View] = frozenset({SOUND, FACES, PEAK, PEAK_FACES})
WIDEST = 640  # pixels of the peak frame as it is shown
USUAL_RATE = 25.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """Values (n,) at times (n,) in seconds; `of` says what they are."""

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    of: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """The courses of a clip, its faces uint8 (F, side, side, 3) at `face_times`, and its peak frame uint8
    (H, W, 3); None and empty where the clip has none. `peak_rule` says how the peak was found."""

    energy: Course | None
    face: Course | None
    faces: NDArray[np.uint8]
    face_times: NDArray[np.float64]
    peak: NDArray[np.uint8] | None
    peak_time: float | None
    peak_rule: str


def timeline_of(clip: Clip, views: ReadViews) -> Timeline:
    """The timeline of a clip from its NEEDS; what it does not have is left out."""
    found = {view: one for view, one in views.items() if isinstance(one, ViewData)}
    faces, peak = found.get(FACES), found.get(PEAK)
    return Timeline(
        energy=None if SOUND not in found else _energy(found[SOUND].array),
        face=_units(clip) or _change(found.get(PEAK_FACES)),
        faces=np.zeros((0, 1, 1, 3), dtype=np.uint8) if faces is None else faces.array,
        face_times=np.zeros(0) if faces is None else faces.times,
        peak=None if peak is None else _small(peak.array),
        peak_time=None if peak is None else float(peak.times[0]),
        peak_rule="" if peak is None else str(peak.meta.get("rule", "")),
    )


def _energy(samples: NDArray[np.float32]) -> Course:
    """Root mean square of windows of the sound in decibels of full scale, not below QUIET_DB."""
    width = max(1, round(WINDOW_S * SOUND.rate))
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % width))
    power = np.square(padded.reshape(-1, width)).mean(axis=1)
    level = 10 * np.log10(np.maximum(power, 10 ** (QUIET_DB / 10)))
    times = (np.arange(len(level)) + 0.5) * width / SOUND.rate
    return Course(times=times, values=level, of="loudness (dB)")


def _units(clip: Clip) -> Course | None:
    """The summed action units, where the clip has them."""
    if clip.au_path is None:
        return None
    try:
        cut = Span(start=clip.start or 0.0, end=float("inf") if clip.end is None else clip.end)
        times, strengths = au_course(clip.au_path, cut, USUAL_RATE)
    except MediaError:
        return None
    return Course(times=times, values=strengths, of="action units (sum)")


def _change(faces: ViewData | None) -> Course | None:
    """How far each face is from the clip's usual one."""
    if faces is None:
        return None
    change = face_change(faces.array).astype(np.float64)
    return Course(times=faces.times, values=change, of="facial change")


def _small(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame, no wider and no higher than WIDEST."""
    from PIL import Image

    image = Image.fromarray(frame)
    image.thumbnail((WIDEST, WIDEST))
    return np.asarray(image)
