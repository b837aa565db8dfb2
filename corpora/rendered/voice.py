"""Voice: a tone made audible by source and filter: harmonics of a pitch curve, shaped by the slope of the
source and by the formants of vowels, plus breath.

Knows nothing of emotions or faces. There are no words: syllables are vowels drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emo.corpora.rendered.drawing import Plane
from emo.corpora.rendered.identity import Identity
from emo.corpora.rendered.tone import Tone

RATE = 16_000
CONTROL_RATE = 200  # values a second of every curve that steers the sound
REFERENCE_HZ = 100.0  # pitch 0
TREMOR_HZ = 6.5
HARMONICS = 36
HIGHEST_HZ = 7200.0
LOUDNESS = 0.1  # root mean square at energy 0
ROOM_NOISE = 0.003
PAUSE = 0.12  # share of syllables with a pause before them

# First three formants of six vowels of an adult man in hertz (Peterson and Barney 1952, table 2).
VOWELS = np.array(
    [
        [730, 1090, 2440],
        [270, 2290, 3010],
        [300, 870, 2240],
        [530, 1840, 2480],
        [570, 840, 2410],
        [490, 1350, 1690],
    ]
)
SILENT_FORMANTS = np.array([500.0, 1500.0, 2500.0])
BANDWIDTHS = (130.0, 180.0, 260.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Syllable:
    """One syllable: when it starts and how long it lasts in seconds, which vowel, how loud (0..1)."""

    start: float
    length: float
    vowel: int
    stress: float


def draw_syllables(tone: Tone, duration: float, rng: np.random.Generator) -> tuple[Syllable, ...]:
    """Syllables at the tone's tempo that fill `duration` seconds, with pauses."""
    at = rng.uniform(0.05, 0.25)
    syllables: list[Syllable] = []
    while True:
        length = rng.uniform(0.75, 1.25) / tone.tempo
        if rng.random() < PAUSE:
            at += 0.7 * length
        if at + length > duration - 0.08:
            return tuple(syllables)
        vowel, stress = int(rng.integers(len(VOWELS))), rng.uniform(0.7, 1.0)
        syllables.append(Syllable(start=at, length=length, vowel=vowel, stress=stress))
        at += length


def loudness_at(syllables: tuple[Syllable, ...], times: Plane) -> Plane:
    """How open the voice is at `times` (n,) in seconds, 0..1; the mouth follows it too."""
    envelope = np.zeros(len(times))
    for syllable in syllables:
        phase = (times - syllable.start) / syllable.length
        sounding = (phase >= 0) & (phase < 1)
        envelope[sounding] += syllable.stress * np.sin(np.pi * phase[sounding]) ** 0.6
    return envelope


def synthesise(
    identity: Identity,
    tone: Tone,
    duration: float,
    rng: np.random.Generator,
    syllables: tuple[Syllable, ...] | None = None,
) -> NDArray[np.float32]:
    """The wave (S,) in [-1, 1] at 16 kHz, S = round(16000 x duration).

    The identity gives the vocal tract and the breath, the tone everything else. `syllables` None draws them.
    """
    spoken = draw_syllables(tone, duration, rng) if syllables is None else syllables
    samples = round(duration * RATE)
    times = np.arange(samples * CONTROL_RATE // RATE + 2) / CONTROL_RATE
    envelope = loudness_at(spoken, times)
    pitch = _pitch(tone, duration, times, rng)
    amplitudes = _amplitudes(identity, tone, pitch, _formants(identity, spoken, times)) * envelope[:, None]
    at = np.arange(samples) * (CONTROL_RATE / RATE)
    wave = _harmonics(np.interp(at, np.arange(len(times)), pitch), amplitudes.astype(np.float32), at)
    level = np.interp(at, np.arange(len(times)), envelope).astype(np.float32)
    wave /= np.sqrt(np.mean(wave * wave)) + 1e-6
    wave += level * _breath(samples, rng) * _breathiness(identity, tone)
    wave *= LOUDNESS * 10 ** (tone.energy / 20)
    wave += rng.standard_normal(samples, dtype=np.float32) * ROOM_NOISE
    return np.tanh(wave).astype(np.float32)


def _pitch(tone: Tone, duration: float, times: Plane, rng: np.random.Generator) -> Plane:
    """F0 in hertz at the control rate."""
    window = np.hanning(61)
    slow = np.convolve(rng.standard_normal(len(times) + 60), window / np.linalg.norm(window), "valid")
    semitones = tone.pitch + tone.melody * slow + tone.rise * (times / duration - 0.5)
    semitones = semitones + tone.tremor * np.sin(2 * np.pi * TREMOR_HZ * times + rng.uniform(0, 6))
    noise = 1 + tone.jitter * rng.standard_normal(len(times))
    hertz: Plane = np.clip(REFERENCE_HZ * 2 ** (semitones / 12) * noise, 55, 700)
    return hertz


def _formants(identity: Identity, syllables: tuple[Syllable, ...], times: Plane) -> Plane:
    """Formant frequencies (n, 3) in hertz, gliding from vowel to vowel."""
    formants = np.tile(SILENT_FORMANTS, (len(times), 1))
    for syllable in syllables:
        first = int(syllable.start * CONTROL_RATE)
        formants[first : int((syllable.start + syllable.length) * CONTROL_RATE)] = VOWELS[syllable.vowel]
    window = np.hanning(19)[1:-1] / np.hanning(19).sum()
    padded = np.pad(formants, ((8, 8), (0, 0)), "edge")
    smooth = np.stack([np.convolve(padded[:, k], window, "valid") for k in range(3)], axis=1)
    scaled: Plane = smooth * identity.voice.formant_scale
    return scaled


def _amplitudes(identity: Identity, tone: Tone, pitch: Plane, formants: Plane) -> Plane:
    """Amplitude (n, HARMONICS) of every harmonic: slope of the source times resonances of the tract."""
    hertz = pitch[:, None] * np.arange(1, HARMONICS + 1)
    amplitude = (hertz / 200) ** (tone.tilt / 6.02)
    for k, bandwidth in enumerate(BANDWIDTHS):
        distance = (hertz - formants[:, k : k + 1]) / bandwidth
        amplitude = amplitude * (0.25 + 1.9 / (1 + distance * distance))
    audible: Plane = amplitude * (hertz < HIGHEST_HZ)
    return audible


def _harmonics(pitch: Plane, amplitudes: NDArray[np.float32], at: Plane) -> NDArray[np.float32]:
    """Sum of sines; sin((h+1)p) comes from sin(hp) and sin((h-1)p), so only one sine is computed."""
    phase = np.cumsum(2 * np.pi * pitch / RATE)
    before, now = np.zeros(len(phase), np.float32), np.sin(phase).astype(np.float32)
    twice_cos = (2 * np.cos(phase)).astype(np.float32)
    index = at.astype(np.int64)
    share = (at - index).astype(np.float32)
    steps = np.diff(amplitudes, axis=0)
    wave = np.zeros(len(phase), np.float32)
    for harmonic in range(HARMONICS):
        wave += (amplitudes[index, harmonic] + steps[index, harmonic] * share) * now
        before, now = now, twice_cos * now - before
    return wave


def _breathiness(identity: Identity, tone: Tone) -> float:
    """A voice with a steep slope is breathier."""
    return identity.voice.breath * (4 + max(0.0, -tone.tilt - 9))


def _breath(samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    noise = rng.standard_normal(samples, dtype=np.float32)
    noise[1:] -= 0.7 * noise[:-1]
    return noise
