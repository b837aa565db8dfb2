"""Tone: what can be heard in how something is said, as eight numbers, and what each class does to them.

Knows nothing of sound: `voice` makes a tone audible. The class values follow the directions that reviews
of vocal emotion agree on (Scherer 2003, Speech Communication 40, table 4); their size is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True)
class Tone:
    """Audible parameters of one clip's voice, all absolute: a speaker's habit is already in them.

    pitch: mean F0 in semitones above 100 Hz; melody: slow pitch movement, semitones (standard deviation);
    energy: level in dB above the reference; tempo: syllables a second; jitter: cycle-to-cycle pitch
    noise as a share of F0; tilt: spectral slope of the source in dB an octave; rise: pitch change from
    the first to the last syllable in semitones; tremor: depth of a 6.5 Hz waver in semitones.
    """

    pitch: float
    melody: float
    energy: float
    tempo: float
    jitter: float
    tilt: float
    rise: float
    tremor: float


TONE_FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Tone))
LOWEST = Tone(pitch=-4, melody=0.1, energy=-14, tempo=2.0, jitter=0.002, tilt=-17, rise=-7, tremor=0)
HIGHEST = Tone(pitch=22, melody=4.0, energy=9, tempo=6.5, jitter=0.05, tilt=-3, rise=9, tremor=1.6)

# How a class moves the speaker's habit at strength 1.
CHANGES: Mapping[str, Mapping[str, float]] = {
    "neutral": {},
    "angry": {"pitch": 2.6, "melody": 1.0, "energy": 6.5, "tempo": 0.9, "tilt": 3.6, "rise": -2.2},
    "happy": {"pitch": 3.8, "melody": 1.7, "energy": 3.5, "tempo": 0.7, "tilt": 1.6, "rise": 0.6},
    "sad": {"pitch": -2.0, "melody": -0.4, "energy": -5.5, "tempo": -1.2, "tilt": -3.6, "rise": -1.6},
    "worried": {"pitch": 1.6, "energy": -2.5, "tempo": 0.5, "jitter": 0.016, "tilt": -1.8, "tremor": 0.65},
    "surprise": {"pitch": 5.0, "melody": 1.3, "energy": 2.5, "tempo": -0.6, "tilt": 1.4, "rise": 4.6},
    "fear": {"pitch": 5.0, "melody": 0.6, "energy": 1.0, "tempo": 1.3, "jitter": 0.016, "tremor": 0.9},
    "contempt": {"pitch": -1.6, "melody": 0.5, "energy": -1.0, "tempo": -0.9, "tilt": 1.2, "rise": -3.0},
    "doubt": {"pitch": 0.6, "melody": 0.6, "energy": -1.5, "tempo": -0.9, "rise": 3.0},
}
# Standard deviation of what one clip adds by chance, whatever its class.
CLIP_SPREAD = Tone(
    pitch=1.4, melody=0.5, energy=2.5, tempo=0.5, jitter=0.0045, tilt=1.45, rise=1.45, tremor=0.18
)


def coloured(habit: Tone, label: str, strength: float, rng: np.random.Generator) -> Tone:
    """`habit` moved towards `label` by `strength` (1 is full, 0 none), with this clip's chance added."""
    change, spread = CHANGES[label], asdict(CLIP_SPREAD)
    values = {
        name: value + strength * change.get(name, 0.0) + rng.normal(0, spread[name])
        for name, value in asdict(habit).items()
    }
    return _limited(values)


def random_tone(rng: np.random.Generator) -> Tone:
    """Every parameter drawn alone over its range: no class, no speaker, nothing to guess one from another."""
    low, high = asdict(LOWEST), asdict(HIGHEST)
    return Tone(**{name: rng.uniform(low[name], high[name]) for name in TONE_FIELDS})


def _limited(values: Mapping[str, float]) -> Tone:
    low, high = asdict(LOWEST), asdict(HIGHEST)
    return Tone(**{name: float(min(max(values[name], low[name]), high[name])) for name in TONE_FIELDS})
