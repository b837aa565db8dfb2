"""A voice put into words from its sound alone: pitch, loudness, tempo, melody, and how the pitch ends.

No model is asked. What is high or fast for one speaker is not for another, so words come from the distance to
what is usual: the same speaker's other clips where there are enough, else everybody's. Knows no files.

Axes: S samples, N short frames of 40 ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from emo import wording

REFERENCE_HZ = 100.0
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
FRAME_S, HOP_S = 0.04, 0.01
VOICED = 0.5  # normalised autocorrelation from which a frame has a pitch
LOUD_SHARE = 0.15  # of the loudest frames' amplitude, below which there is no voice
LEAST_VOICED = 8  # frames with a pitch, below which nothing is said about pitch
SYLLABLE_S = 0.1  # syllables are at least this far apart
OWN_CLIPS = 5  # clips of a speaker from which on the speaker is their own measure


@dataclass(frozen=True, kw_only=True, slots=True)
class VoiceMeasures:
    """Pitch in semitones above 100 Hz, melody its standard deviation, rise its change from the first third to
    the last, energy in dB of full scale over the sounding frames, tempo in syllables a second."""

    pitch: float
    melody: float
    rise: float
    energy: float
    tempo: float


def measure_voice(sound: NDArray[np.float32], rate: int) -> VoiceMeasures | None:
    """The measures of a sound (S,) at `rate` hertz; None where nobody is heard."""
    frames = _framed(sound.astype(np.float64), rate)
    if not len(frames):
        return None
    loudness = np.sqrt(np.mean(frames**2, axis=1))
    sounding = loudness > max(LOUD_SHARE * float(np.quantile(loudness, 0.95)), 1e-4)
    pitch = _pitch(frames, rate)
    voiced = sounding & np.isfinite(pitch)
    if voiced.sum() < LEAST_VOICED:
        return None
    spoken = pitch[voiced]
    third = max(1, len(spoken) // 3)
    measures = VoiceMeasures(
        pitch=float(np.median(spoken)),
        melody=float(np.std(spoken)),
        rise=float(np.median(spoken[-third:]) - np.median(spoken[:third])),
        energy=float(20 * np.log10(np.sqrt(np.mean(loudness[sounding] ** 2)))),
        tempo=_syllables(loudness) / (len(sound) / rate),
    )
    return VoiceMeasures(**{name: round(value, 3) for name, value in asdict(measures).items()})


def usual(measures: Sequence[VoiceMeasures]) -> VoiceMeasures:
    """The median voice."""
    rows = [asdict(each) for each in measures]
    return VoiceMeasures(**{name: float(np.median([row[name] for row in rows])) for name in rows[0]})


def habits(
    measures: Mapping[str, VoiceMeasures], speakers: Mapping[str, str | None]
) -> dict[str, VoiceMeasures]:
    """What is usual for each clip: its speaker's median of OWN_CLIPS clips or more, else everybody's."""
    if not measures:
        return {}
    own: dict[str, list[VoiceMeasures]] = {}
    for clip_id, each in measures.items():
        speaker = speakers.get(clip_id)
        if speaker:
            own.setdefault(speaker, []).append(each)
    medians = {speaker: usual(each) for speaker, each in own.items() if len(each) >= OWN_CLIPS}
    everybody = usual(list(measures.values()))
    return {clip_id: medians.get(speakers.get(clip_id) or "", everybody) for clip_id in measures}


def tone_of(measures: VoiceMeasures, habit: VoiceMeasures) -> str:
    """One or two words for what stands out against the habit; "even" where nothing does."""
    heard, expected = asdict(measures), asdict(habit)
    return wording.tone_word(
        {name: (heard[name] - expected[name]) / wording.TONE_WORDS[name][0] for name in heard}
    )


def _framed(sound: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Overlapping frames (N, FRAME_S x rate), each without its mean; none of a sound that is too short."""
    size, hop = round(FRAME_S * rate), round(HOP_S * rate)
    if len(sound) < size:
        return np.zeros((0, size))
    frames = np.lib.stride_tricks.sliding_window_view(sound, size)[::hop]
    return np.asarray(frames - frames.mean(axis=1, keepdims=True))


def _pitch(frames: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Pitch in semitones above 100 Hz (N,), NaN where a frame has none.

    The first strong peak of the autocorrelation, divided by that of the window (Boersma 1993).
    """
    size = frames.shape[1]
    window = np.hanning(size)
    length = 1 << (2 * size - 1).bit_length()
    shortest, longest = round(rate / HIGHEST_HZ), min(round(rate / LOWEST_HZ), size - 1)
    own = _autocorrelation((frames * window), length)[:, : longest + 1]
    plain = _autocorrelation(window[None], length)[:, : longest + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        normal = (own / own[:, :1]) / (plain / plain[:, :1])
    normal = np.nan_to_num(normal)
    inner = normal[:, shortest : longest + 1]
    best = inner.max(axis=1)
    # an octave too low correlates as well: the shortest lag that is nearly as good is the period
    lag = shortest + np.argmax(inner >= 0.9 * best[:, None], axis=1)
    lag = _climbed(normal, lag, longest)
    semitones: NDArray[np.float64] = 12 * np.log2(rate / lag / REFERENCE_HZ)
    return np.where(best >= VOICED, semitones, np.nan)


def _climbed(normal: NDArray[np.float64], lag: NDArray[np.intp], longest: int) -> NDArray[np.float64]:
    """The top of the hill on whose slope each `lag` stands, to a fraction of a sample."""
    rows = np.arange(len(lag))
    for _ in range(8):
        further = np.minimum(lag + 1, longest)
        lag = np.where(normal[rows, further] > normal[rows, lag], further, lag)
    left, right = normal[rows, lag - 1], normal[rows, np.minimum(lag + 1, longest)]
    bend = left - 2 * normal[rows, lag] + right
    shift = np.where(np.abs(bend) > 1e-9, 0.5 * (left - right) / np.where(bend == 0, 1, bend), 0.0)
    return np.asarray(lag + np.clip(shift, -0.5, 0.5))


def _autocorrelation(frames: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(frames, length, axis=1)
    found: NDArray[np.float64] = np.fft.irfft(np.abs(spectrum) ** 2, length, axis=1)
    return found


def _syllables(loudness: NDArray[np.float64]) -> int:
    """Hills of the loudness that stand out by 15 % of the highest."""
    from scipy.signal import find_peaks

    smooth = np.convolve(loudness, np.hanning(9) / np.hanning(9).sum(), mode="same")
    top = float(smooth.max())
    peaks, _ = find_peaks(smooth, prominence=0.15 * top, distance=round(SYLLABLE_S / HOP_S))
    return len(peaks)
