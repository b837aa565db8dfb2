"""Performance: everything a clip will show and say, planned before anything is drawn.

A performance knows its times, units and tone; it knows nothing of pictures, waves or files. It is also the
planted truth: what was intended, where face and voice disagree, and where either is weak.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.corpora.rendered.identity import Identity
from emo.corpora.rendered.pose import Pose
from emo.corpora.rendered.tone import Tone, coloured, random_tone
from emo.corpora.rendered.units import BLINK, EXPRESSIVE, IDLE_UNITS, JAW_DROP, LIPS_PART, PROFILES
from emo.corpora.rendered.voice import Syllable, draw_syllables, loudness_at

Curve: TypeAlias = NDArray[np.float64]
Condition = Literal["agree", "face_weak", "voice_weak", "face_differs", "voice_differs"]
CONDITIONS: tuple[Condition, ...] = ("agree", "face_weak", "voice_weak", "face_differs", "voice_differs")

FULL = (0.70, 1.05)  # range of strengths where nothing is weakened
WEAK = (0.03, 0.15)
DIFFERING = (0.45, 0.75)  # a modality that contradicts the label does so less than fully
OMITTED_UNIT = 0.12  # share of a profile's units that a clip leaves out
BLINK_HALF = 0.11  # seconds from open to closed
TALKING_LIPS, TALKING_JAW = 0.45, 0.22


@dataclass(frozen=True, kw_only=True, slots=True)
class Movement:
    """One action unit rising from `onset` to `apex`, held until `release`, gone at `offset` (seconds).

    `intensity` is 0..1. `idle` movements belong to no emotion.
    """

    unit: int
    intensity: float
    onset: float
    apex: float
    release: float
    offset: float
    idle: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Sway:
    """A slow sine: amplitude, frequency in hertz and phase in radians."""

    amplitude: float
    hertz: float
    phase: float

    def at(self, time: float) -> float:
        """Value at `time` seconds."""
        return self.amplitude * float(np.sin(2 * np.pi * self.hertz * time + self.phase))


@dataclass(frozen=True, kw_only=True, slots=True)
class Performance:
    """A planned clip. `label` is what is meant; `face` and `voice` what each shows, at which strength.

    In a random performance these three are "" and the strengths 0. `short` says that the movements last
    less than half a second.
    """

    duration: float
    label: str
    condition: Condition
    face: str
    face_strength: float
    voice: str
    voice_strength: float
    short: bool
    movements: tuple[Movement, ...]
    blinks: tuple[float, ...]
    syllables: tuple[Syllable, ...]
    tone: Tone
    sways: Mapping[str, Sway]

    @property
    def weak(self) -> tuple[str, ...]:
        """Which of "face" and "voice" are too weak to be read."""
        strengths = {"face": self.face_strength, "voice": self.voice_strength}
        return tuple(name for name, strength in strengths.items() if strength <= WEAK[1])

    @property
    def peak(self) -> float:
        """The moment, in seconds, at which the movements that carry the expression are largest in sum."""
        meant = [movement for movement in self.movements if not movement.idle] or self.movements
        if not meant:
            return 0.5 * self.duration
        times = np.arange(0.0, self.duration, 0.04)
        total = sum((_course(movement, times) for movement in meant), np.zeros(len(times)))
        total -= 0.5 * _closed(self.blinks, times)  # a frame with open eyes shows more
        plateau = np.flatnonzero(total > total.max() - 0.02)
        return float(times[plateau[len(plateau) // 2]])


def plan_performance(
    rng: np.random.Generator,
    identity: Identity,
    label: str,
    condition: Condition = "agree",
    *,
    others: Sequence[str] = (),
    short: bool = False,
    duration: float | None = None,
) -> Performance:
    """A clip in which `identity` means `label`; `others` are the classes a modality may differ to.

    `short` makes every expressive movement last less than half a second. `duration` None draws 2 to 4 s.
    """
    seconds = round(rng.uniform(2.0, 4.0) * 25) / 25 if duration is None else duration
    strengths = {"face": rng.uniform(*FULL), "voice": rng.uniform(*FULL)}
    shown = {"face": label, "voice": label}
    part, _, how = condition.partition("_")
    if how == "weak":
        strengths[part] = rng.uniform(*WEAK)
    elif how == "differs":
        shown[part] = str(rng.choice([other for other in others if other != label]))
        strengths[part] = rng.uniform(*DIFFERING)
    tone = coloured(identity.voice.habit, shown["voice"], strengths["voice"], rng)
    movements = _expression(rng, shown["face"], strengths["face"], seconds, short)
    plain = _unexpressive(rng, seconds, tone)
    return replace(
        plain,
        label=label,
        condition=condition,
        face=shown["face"],
        face_strength=strengths["face"],
        voice=shown["voice"],
        voice_strength=strengths["voice"],
        short=short,
        movements=movements + _idle(rng, seconds),
    )


def random_performance(rng: np.random.Generator, duration: float = 3.0) -> Performance:
    """A clip without a class: units and tone drawn alone, so that no unit foretells another or the voice.

    Meant for training encoders that must not learn the classes of a corpus.
    """
    plain = _unexpressive(rng, duration, random_tone(rng))
    chosen = [unit for unit in EXPRESSIVE if rng.random() < 0.3]
    movements = [_movement(rng, unit, rng.uniform(0.1, 1.0), _timing(rng, duration)) for unit in chosen]
    return replace(plain, movements=tuple(movements))


def units_at(performance: Performance, time: float) -> dict[int, float]:
    """Intensity 0..1 of every unit that is active at `time` seconds: movements, speech and blinks."""
    return {unit: float(course[0]) for unit, course in unit_curves(performance, np.array([time])).items()}


def unit_curves(performance: Performance, times: Curve) -> dict[int, Curve]:
    """Intensity (n,) in 0..1 of every active unit at `times` (n,) in seconds."""
    curves: dict[int, Curve] = {}
    for movement in performance.movements:
        curves[movement.unit] = np.maximum(curves.get(movement.unit, 0.0), _course(movement, times))
    speech = loudness_at(performance.syllables, times)
    for unit, share in ((LIPS_PART, TALKING_LIPS), (JAW_DROP, TALKING_JAW)):
        curves[unit] = np.minimum(1.0, curves.get(unit, 0.0) + share * speech)
    curves[BLINK] = _closed(performance.blinks, times)
    return curves


def pose_at(performance: Performance, time: float) -> Pose:
    """Where the head is at `time` seconds."""
    return Pose(**{name: sway.at(time) for name, sway in performance.sways.items()})


def _unexpressive(rng: np.random.Generator, duration: float, tone: Tone) -> Performance:
    """Speech, blinks and head motion, and a face that shows nothing."""
    blinks, at = [], rng.uniform(0.2, 2.0)
    while at < duration:
        blinks.append(at)
        at += rng.uniform(1.4, 3.2)
    amplitudes = {"dx": 0.08, "dy": 0.05, "roll": 0.045, "yaw": 0.05, "gaze": 0.3}
    sways = {
        name: Sway(
            amplitude=amplitude * rng.uniform(0.5, 1.2),
            hertz=rng.uniform(0.15, 0.45),
            phase=rng.uniform(0, 2 * np.pi),
        )
        for name, amplitude in amplitudes.items()
    }
    return Performance(
        duration=duration,
        label="",
        condition="agree",
        face="",
        face_strength=0.0,
        voice="",
        voice_strength=0.0,
        short=False,
        movements=(),
        blinks=tuple(blinks),
        syllables=draw_syllables(tone, duration, rng),
        tone=tone,
        sways=sways,
    )


def _expression(
    rng: np.random.Generator, shown: str, strength: float, duration: float, short: bool
) -> tuple[Movement, ...]:
    profiles = PROFILES[shown]
    profile = profiles[int(rng.integers(len(profiles)))]
    timing = _timing(rng, duration, short)
    return tuple(
        _movement(rng, unit, min(1.0, level * strength * rng.uniform(0.8, 1.15)), timing)
        for unit, level in profile.items()
        if rng.random() >= OMITTED_UNIT
    )


def _idle(rng: np.random.Generator, duration: float) -> tuple[Movement, ...]:
    """In four clips of ten, one unit that means nothing."""
    if rng.random() >= 0.4:
        return ()
    unit = int(rng.choice(IDLE_UNITS))
    movement = _movement(rng, unit, rng.uniform(0.1, 0.5), _timing(rng, duration))
    return (replace(movement, idle=True),)


def _timing(
    rng: np.random.Generator, duration: float, short: bool = False
) -> tuple[float, float, float, float]:
    """Onset, apex, release and offset in seconds."""
    if short:
        onset = rng.uniform(0.15, 0.7) * (duration - 0.6)
        total = rng.uniform(0.3, 0.46)
        return onset, onset + 0.3 * total, onset + 0.65 * total, onset + total
    onset = rng.uniform(0.05, 0.18) * duration
    apex = onset + rng.uniform(0.08, 0.18) * duration
    release = apex + rng.uniform(0.28, 0.45) * duration
    return onset, apex, release, release + rng.uniform(0.08, 0.16) * duration


def _movement(
    rng: np.random.Generator, unit: int, intensity: float, timing: tuple[float, float, float, float]
) -> Movement:
    onset, apex, release, offset = timing
    early = rng.uniform(-0.02, 0.02)  # units of one expression do not start at the same instant
    return Movement(
        unit=unit,
        intensity=intensity,
        onset=onset + early,
        apex=apex + early,
        release=release + early,
        offset=offset + early,
    )


def _closed(blinks: tuple[float, ...], times: Curve) -> Curve:
    """How far the lids are closed (n,) at `times`."""
    closed = np.zeros(len(times))
    for centre in blinks:
        closed = np.maximum(closed, np.clip(1 - np.abs(times - centre) / BLINK_HALF, 0, 1))
    return closed


def _course(movement: Movement, times: Curve) -> Curve:
    """Intensity (n,) of one movement at `times`, with smooth starts and stops."""
    corners = [movement.onset, movement.apex, movement.release, movement.offset]
    linear = np.interp(times, corners, [0.0, 1.0, 1.0, 0.0], left=0.0, right=0.0)
    smooth: Curve = movement.intensity * linear * linear * (3 - 2 * linear)
    return smooth
