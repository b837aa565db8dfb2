"""What a tone says can be measured in the wave."""

from dataclasses import replace

import numpy as np
import pytest

from emo.corpora.rendered.identity import draw_identity
from emo.corpora.rendered.tone import CHANGES, HIGHEST, LOWEST, TONE_FIELDS, coloured, random_tone
from emo.corpora.rendered.voice import RATE, draw_syllables, loudness_at, synthesise

SPEAKER = draw_identity("corpus", 0, 2)
CALM = replace(
    SPEAKER.voice.habit,
    pitch=6.0,
    melody=0.1,
    energy=0.0,
    tempo=4.0,
    jitter=0.002,
    tilt=-9.0,
    rise=0.0,
    tremor=0.0,
)


def wave_of(tone, duration=2.0, seed=0, speaker=SPEAKER):
    return synthesise(speaker, tone, duration, np.random.default_rng(seed))


def voiced_pitch(wave):
    """Median F0 in hertz by autocorrelation over the loud blocks."""
    blocks = wave[: len(wave) // 800 * 800].reshape(-1, 800).astype(float)
    loud = blocks[blocks.std(axis=1) > np.median(blocks.std(axis=1))]
    found = []
    for block in loud:
        correlation = np.correlate(block, block, "full")[799:]
        low, high = RATE // 500, RATE // 70
        found.append(RATE / (low + int(np.argmax(correlation[low:high]))))
    return float(np.median(found))


def steepness(wave):
    """Energy above 1.5 kHz over energy below 700 Hz, in dB."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
    return 10 * np.log10(
        power[(hertz > 1500) & (hertz < 4000)].sum() / power[(hertz > 60) & (hertz < 700)].sum()
    )


@pytest.mark.parametrize("pitch", [0.0, 6.0, 14.0])
def test_pitch_is_heard(pitch):
    assert voiced_pitch(wave_of(replace(CALM, pitch=pitch))) == pytest.approx(
        100 * 2 ** (pitch / 12), rel=0.06
    )


def test_six_decibels_double_the_level():
    soft, loud = wave_of(replace(CALM, energy=-6.0)), wave_of(CALM)
    assert loud.std() / soft.std() == pytest.approx(2.0, rel=0.1)


def test_a_flatter_slope_is_brighter():
    levels = [steepness(wave_of(replace(CALM, tilt=tilt))) for tilt in (-14.0, -9.0, -5.0)]
    assert levels[0] + 3 < levels[1] and levels[1] + 3 < levels[2]


def test_a_faster_tempo_has_more_syllables():
    counts = [
        len(draw_syllables(replace(CALM, tempo=tempo), 10.0, np.random.default_rng(0)))
        for tempo in (2.5, 4, 6)
    ]
    assert counts[0] < counts[1] < counts[2]


def test_syllables_lie_within_the_clip_and_do_not_overlap():
    syllables = draw_syllables(CALM, 3.0, np.random.default_rng(1))
    ends = [syllable.start + syllable.length for syllable in syllables]
    assert ends[-1] < 3.0
    assert all(end <= after.start + 1e-9 for end, after in zip(ends, syllables[1:], strict=False))


def test_the_wave_is_loud_where_syllables_are():
    rng = np.random.default_rng(2)
    syllables = draw_syllables(CALM, 3.0, rng)
    wave = synthesise(SPEAKER, CALM, 3.0, rng, syllables)
    levels = np.abs(wave[: 3 * RATE]).reshape(-1, 400).mean(axis=1)
    planned = loudness_at(syllables, (np.arange(len(levels)) + 0.5) * 400 / RATE)
    assert np.corrcoef(levels, planned)[0, 1] > 0.7


def test_the_wave_has_the_promised_length_and_range():
    wave = wave_of(HIGHEST, duration=2.52)
    assert wave.shape == (round(2.52 * RATE),) and wave.dtype == np.float32
    assert np.abs(wave).max() <= 1.0 and np.isfinite(wave).all()


def test_the_same_generator_gives_the_same_wave():
    assert np.array_equal(wave_of(CALM, seed=4), wave_of(CALM, seed=4))
    assert not np.array_equal(wave_of(CALM, seed=4), wave_of(CALM, seed=5))


def test_every_class_moves_the_tone_and_strength_zero_does_not():
    habit = SPEAKER.voice.habit
    for label, change in CHANGES.items():
        full = coloured(habit, label, 1.0, np.random.default_rng(0))
        none = coloured(habit, label, 0.0, np.random.default_rng(0))
        plain = coloured(habit, "neutral", 1.0, np.random.default_rng(0))
        assert none == plain
        for name, amount in change.items():
            assert (getattr(full, name) - getattr(none, name)) * amount >= 0


def test_random_tones_fill_the_range_and_share_nothing():
    rng = np.random.default_rng(0)
    drawn = np.array(
        [[getattr(tone, name) for name in TONE_FIELDS] for tone in (random_tone(rng) for _ in range(400))]
    )
    low, high = (np.array([getattr(edge, name) for name in TONE_FIELDS]) for edge in (LOWEST, HIGHEST))
    assert (drawn >= low).all() and (drawn <= high).all()
    assert np.abs(np.corrcoef(drawn.T) - np.eye(len(TONE_FIELDS))).max() < 0.2
