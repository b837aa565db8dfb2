"""Film: frames and a wave into one mp4 (h264 and aac), and a planned clip rendered into one.

The bytes are the same for the same frames and wave on one build of FFmpeg: one encoder thread, no clock
and no library version in the file. Another build may compress the same frames and wave differently.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from emo.corpora.rendered.face import FaceRenderer, Frame
from emo.corpora.rendered.identity import Identity
from emo.corpora.rendered.performance import Performance, pose_at, unit_curves
from emo.corpora.rendered.voice import RATE, synthesise

FRAMES_PER_SECOND = 25
H264 = {"crf": "21", "preset": "ultrafast", "tune": "zerolatency", "threads": "1", "flags": "+bitexact"}
AAC = {"flags": "+bitexact", "aac_coder": "fast"}
AAC_BITS = 64_000
BLOCK = 1024  # samples an audio frame


def frame_times(performance: Performance) -> NDArray[np.float64]:
    """Time of every frame in seconds."""
    return np.arange(round(performance.duration * FRAMES_PER_SECOND)) / FRAMES_PER_SECOND


def draw_frames(
    identity: Identity, performance: Performance, rng: np.random.Generator, width: int, height: int
) -> Iterator[Frame]:
    """The frames of a clip, uint8 RGB (height, width, 3) each."""
    renderer, times = FaceRenderer(identity, rng, width, height), frame_times(performance)
    curves = unit_curves(performance, times)
    for number, time in enumerate(times):
        units = {unit: float(curve[number]) for unit, curve in curves.items()}
        yield renderer.frame(units, pose_at(performance, float(time)), grain=number)[0]


def render_clip(
    path: Path,
    identity: Identity,
    performance: Performance,
    rng: np.random.Generator,
    *,
    width: int,
    height: int,
) -> None:
    """Write the clip at `path`; the file appears whole or not at all."""
    wave = synthesise(identity, performance.tone, performance.duration, rng, performance.syllables)
    frames = draw_frames(identity, performance, rng, width, height)
    partial = path.with_suffix(f".{os.getpid()}.partial")  # two runs on one folder do not meet
    write_mp4(partial, frames, wave, width=width, height=height)
    partial.replace(path)


def write_mp4(
    path: Path, frames: Iterable[Frame], wave: NDArray[np.float32], *, width: int, height: int
) -> None:
    """Encode `frames` (height, width, 3) at 25 a second and `wave` (S,) at 16 kHz."""
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as film:
        picture = film.add_stream("libx264", rate=FRAMES_PER_SECOND, options=dict(H264))
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        sound = film.add_stream("aac", rate=RATE, layout="mono", options=dict(AAC))
        sound.bit_rate = AAC_BITS
        for frame in frames:
            film.mux(picture.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(picture.encode(None))
        for start in range(0, len(wave), BLOCK):
            block = av.AudioFrame.from_ndarray(
                wave[None, start : start + BLOCK], format="fltp", layout="mono"
            )
            block.sample_rate, block.pts, block.time_base = RATE, start, Fraction(1, RATE)
            film.mux(sound.encode(block))
        film.mux(sound.encode(None))
