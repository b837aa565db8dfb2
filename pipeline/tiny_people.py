"""Rendered people to train the tiny encoders on: faces, whole frames, voices, and what was planted in them.

Everyone here is of the namespace `encoder-training`, so nobody can turn up in a corpus that a user renders.
Targets are what the renderer was told to draw or sing (action units, pose, tone), never a class of emotion:
units and tone are drawn alone, so no class can be guessed from them. Knows nothing of models.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from PIL import Image

from emo.corpora.rendered.face import Box, FaceRenderer, Frame
from emo.corpora.rendered.identity import Identity, draw_identity
from emo.corpora.rendered.performance import Performance, pose_at, random_performance, units_at
from emo.corpora.rendered.tone import HIGHEST, LOWEST, Tone
from emo.corpora.rendered.units import UNITS
from emo.corpora.rendered.voice import RATE, REFERENCE_HZ, loudness_at, synthesise
from emo.seeds import generator

NAMESPACE = "encoder-training"
MOMENTS = 16  # face crops a clip, as VideoMAE takes them
FRAME_MOMENTS = slice(2, None, 4)  # the moments of which the whole frame is kept too
VOICE_SECONDS = 2.5
PITCH_WINDOW = 640  # samples around a moment that its pitch is measured in
PITCH_SEARCH = 8.0  # semitones around the planted mean
LOUDNESS_RATE = 50  # values a second, HuBERT's frame rate
CHUNK = 50  # clips a job renders before it asks for more work

# MTCNN's boxes on 80 rendered faces against the true ones: mean and spread of the centre's shift (shares
# of the true width and height) and of the ratio of the sides. A clip has one box: the median of its moments.
BOX_SHIFT_X, BOX_SHIFT_Y = (0.005, 0.015), (-0.019, 0.018)
BOX_WIDTH, BOX_HEIGHT = (0.937, 0.030), (0.984, 0.035)
JPEG_QUALITY = (35, 85)  # stands in for h264


@dataclass(frozen=True, kw_only=True, slots=True)
class Shapes:
    """Sizes in pixels: the square face crop, the square whole frame, and the crop's margin."""

    face: int
    frame: int
    margin: float = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Faces:
    """N clips of MOMENTS moments M.

    `crops` (N, M, face, face, 3) uint8; `frames` (N, M // 4, frame, frame, 3) uint8, from the third
    moment every fourth; `units` (N, M, 17) in 0..1; `geometry` (N, M, G): the head's box in shares of the
    crop, roll, yaw and gaze, and the head's shape.
    """

    crops: NDArray[np.uint8]
    frames: NDArray[np.uint8]
    units: NDArray[np.float32]
    geometry: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Voices:
    """N waves (N, S) float16, `tone` (N, 8) scaled to 0..1, `speaker` (N, 2): vocal tract and breath,
    `loudness` (N, T) in 0..1 and `pitch` (N, T) in semitones above 100 Hz at 50 values a second."""

    waves: NDArray[np.float16]
    tone: NDArray[np.float32]
    speaker: NDArray[np.float32]
    loudness: NDArray[np.float32]
    pitch: NDArray[np.float32]


def render_faces(folder: Path, count: int, seed: int, shapes: Shapes, processes: int = 1) -> Faces:
    """Draw `count` clips of `count` people into arrays under `folder` (memory-mapped)."""
    frames = MOMENTS // 4
    probe = _clip_of_faces(0, seed, shapes)
    layout = {
        "crops": ((count, *probe.crops.shape), np.uint8),
        "frames": ((count, frames, shapes.frame, shapes.frame, 3), np.uint8),
        "units": ((count, MOMENTS, len(UNITS)), np.float32),
        "geometry": ((count, *probe.geometry.shape), np.float32),
    }
    arrays = {name: _new_array(folder, name, shape, kind) for name, (shape, kind) in layout.items()}
    jobs = (delayed(_draw_some)(first, last, seed, shapes, arrays) for first, last in _chunks(count))
    Parallel(n_jobs=processes)(jobs)
    return Faces(**arrays)


def render_voices(folder: Path, count: int, seed: int, processes: int = 1) -> Voices:
    """Sing `count` waves of `count` people into arrays under `folder` (memory-mapped)."""
    layout = {
        "waves": ((count, round(VOICE_SECONDS * RATE)), np.float16),
        "tone": ((count, len(astuple(LOWEST))), np.float32),
        "speaker": ((count, 2), np.float32),
        "loudness": ((count, round(VOICE_SECONDS * LOUDNESS_RATE)), np.float32),
        "pitch": ((count, round(VOICE_SECONDS * LOUDNESS_RATE)), np.float32),
    }
    arrays = {name: _new_array(folder, name, shape, kind) for name, (shape, kind) in layout.items()}
    jobs = (delayed(_sing_some)(first, last, seed, arrays) for first, last in _chunks(count))
    Parallel(n_jobs=processes)(jobs)
    return Voices(**arrays)


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    return ((first, min(first + CHUNK, count)) for first in range(0, count, CHUNK))


def _new_array(folder: Path, name: str, shape: tuple[int, ...], kind: type) -> NDArray[Any]:
    return np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=kind, shape=shape)


def _person(number: int, seed: int, part: str) -> tuple[Identity, np.random.Generator]:
    return draw_identity(NAMESPACE, seed, number), generator(NAMESPACE, seed, part, number)


def _draw_some(first: int, last: int, seed: int, shapes: Shapes, arrays: dict[str, NDArray[Any]]) -> None:
    for number in range(first, last):
        clip = _clip_of_faces(number, seed, shapes)
        for name, array in arrays.items():
            array[number] = getattr(clip, name)


def _sing_some(first: int, last: int, seed: int, arrays: dict[str, NDArray[Any]]) -> None:
    for number in range(first, last):
        voice = _voice(number, seed)
        for name, array in arrays.items():
            array[number] = getattr(voice, name)


def _clip_of_faces(number: int, seed: int, shapes: Shapes) -> Faces:
    """One clip, without the axis N."""
    person, rng = _person(number, seed, "faces")
    act = random_performance(rng, rng.uniform(2.0, 4.0))
    shot = film_faces(person, act, rng, moments(act), shapes.margin)
    frames = [
        _square(picture, (0, 0, *picture.size), shapes.frame) for picture in shot.pictures[FRAME_MOMENTS]
    ]
    return Faces(
        crops=np.stack([np.asarray(_square(picture, shot.box, shapes.face)) for picture in shot.pictures]),
        frames=np.stack([np.asarray(frame) for frame in frames]),
        units=_units(act, moments(act)),
        geometry=_geometry(person, act, moments(act), shot.placed),
    )


def moments(act: Performance) -> NDArray[np.float64]:
    """The middles of MOMENTS equal parts of a clip, in seconds."""
    return (np.arange(MOMENTS) + 0.5) * act.duration / MOMENTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """Pictures of one clip as a codec leaves them, the square `box` in pixels that a detector would cut,
    and the true boxes (M, 4) in shares of that square."""

    pictures: list[Image.Image]
    box: Box
    placed: NDArray[np.float64]


def film_faces(
    person: Identity, act: Performance, rng: np.random.Generator, times: NDArray[np.float64], margin: float
) -> Shot:
    """`person` at `times` (M,) of a performance."""
    renderer = FaceRenderer(person, rng)
    drawn = [renderer.frame(units_at(act, time), pose_at(act, time), grain=k) for k, time in enumerate(times)]
    boxes = np.array([box for _, box in drawn])
    pictures = [_compressed(picture, rng) for picture, _ in drawn]
    left, top, side = _detected_square(np.median(boxes, axis=0), margin, rng)
    return Shot(
        pictures=pictures,
        box=(left, top, left + side, top + side),
        placed=(boxes - (left, top, left, top)) / side,
    )


def _compressed(picture: Frame, rng: np.random.Generator) -> Image.Image:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=int(rng.integers(*JPEG_QUALITY)))
    return Image.open(stream).convert("RGB")


def _detected_square(
    box: NDArray[np.float64], margin: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Left, top and side of the square around a detector's box of the true `box`."""
    width, height = box[2] - box[0], box[3] - box[1]
    x = 0.5 * (box[0] + box[2]) + width * rng.normal(*BOX_SHIFT_X)
    y = 0.5 * (box[1] + box[3]) + height * rng.normal(*BOX_SHIFT_Y)
    side = max(width * rng.normal(*BOX_WIDTH), height * rng.normal(*BOX_HEIGHT)) * (1 + 2 * margin)
    return x - side / 2, y - side / 2, side


def _square(picture: Image.Image, box: Box, size: int) -> Image.Image:
    return picture.resize((size, size), Image.Resampling.BILINEAR, box=box)


def _units(act: Performance, times: NDArray[np.float64]) -> NDArray[np.float32]:
    rows = [units_at(act, float(time)) for time in times]
    return np.array([[row.get(unit, 0.0) for unit in UNITS] for row in rows], np.float32)


def _geometry(
    person: Identity, act: Performance, times: NDArray[np.float64], boxes: NDArray[np.float64]
) -> NDArray[np.float32]:
    turns = [pose_at(act, float(time)) for time in times]
    moving = np.array([[pose.roll, pose.yaw, pose.gaze] for pose in turns])
    still = np.tile(np.array(astuple(person.shape)), (len(times), 1))
    return np.concatenate([boxes, moving, still], axis=1).astype(np.float32)


def _voice(number: int, seed: int) -> Voices:
    """One wave, without the axis N."""
    person, rng = _person(number, seed, "voices")
    act = random_performance(rng, VOICE_SECONDS)
    low, high = np.array(astuple(LOWEST)), np.array(astuple(HIGHEST))
    wave = synthesise(person, act.tone, act.duration, rng, act.syllables)
    times = (np.arange(round(VOICE_SECONDS * LOUDNESS_RATE)) + 0.5) / LOUDNESS_RATE
    return Voices(
        waves=wave.astype(np.float16),
        tone=((np.array(astuple(act.tone)) - low) / (high - low)).astype(np.float32),
        speaker=np.array([person.voice.formant_scale, 50 * person.voice.breath], np.float32),
        loudness=loudness_at(act.syllables, times).astype(np.float32),
        pitch=measured_pitch(wave, act.tone, times),
    )


def measured_pitch(wave: NDArray[np.float32], tone: Tone, times: NDArray[np.float64]) -> NDArray[np.float32]:
    """Semitones above 100 Hz at `times` (n,): the highest autocorrelation near the planted mean pitch.

    The window's own autocorrelation is divided out (Boersma 1993, "Accurate short-term analysis of the
    fundamental frequency"). Where nothing sounds the value means nothing.
    """
    window = np.hanning(PITCH_WINDOW)
    padded = np.pad(wave.astype(np.float64), PITCH_WINDOW // 2)
    starts = np.round(times * RATE).astype(int)
    pieces = padded[starts[:, None] + np.arange(PITCH_WINDOW)] * window
    lags = np.arange(PITCH_WINDOW // 2 + 1)
    alike = _autocorrelation(pieces)[:, lags] / (_autocorrelation(window[None])[:, lags] + 1e-9)
    semitones = 12 * np.log2(RATE / np.maximum(lags, 1) / REFERENCE_HZ)
    alike[:, np.abs(semitones - tone.pitch) > PITCH_SEARCH] = -np.inf
    best = np.clip(alike.argmax(axis=1), 1, len(lags) - 2)
    rows = np.arange(len(best))
    left, middle, right = (alike[rows, best + step] for step in (-1, 0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.nan_to_num(0.5 * (left - right) / (left - 2 * middle + right), posinf=0.0, neginf=0.0)
    pitch: NDArray[np.float64] = 12 * np.log2(RATE / (best + np.clip(shift, -0.5, 0.5)) / REFERENCE_HZ)
    return pitch.astype(np.float32)


def _autocorrelation(pieces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row, by FFT."""
    power = np.abs(np.fft.rfft(pieces, 2 * pieces.shape[1])) ** 2
    alike: NDArray[np.float64] = np.fft.irfft(power)[:, : pieces.shape[1]]
    return alike
