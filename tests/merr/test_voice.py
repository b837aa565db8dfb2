"""A voice is measured and put into words without a model."""

from dataclasses import replace

import numpy as np
import pytest

from emo.corpora.rendered.identity import draw_identity
from emo.corpora.rendered.voice import RATE, synthesise
from emo.merr.voice import OWN_CLIPS, VoiceMeasures, habits, measure_voice, tone_of
from emo.seeds import generator


def test_pitch_and_loudness_of_a_planted_voice_are_measured():
    rng = generator("test", "voice")
    for number in range(4):
        who = draw_identity("test", 1, number)
        tone = who.voice.habit
        found = measure_voice(synthesise(who, tone, 3.0, rng), RATE)
        assert found.pitch == pytest.approx(tone.pitch, abs=1.5)
        again = measure_voice(synthesise(who, replace(tone, energy=tone.energy + 6), 3.0, rng), RATE)
        assert again.energy - found.energy == pytest.approx(6, abs=1.5)


def test_a_faster_voice_has_more_syllables_a_second():
    who = draw_identity("test", 1, 2)
    slow, fast = (
        measure_voice(synthesise(who, replace(who.voice.habit, tempo=tempo), 4.0, generator("t")), RATE)
        for tempo in (2.2, 5.5)
    )
    assert fast.tempo > slow.tempo + 1


@pytest.mark.parametrize("sound", [np.zeros(0), np.zeros(100), np.zeros(RATE), np.full(RATE, 0.5)])
def test_silence_is_nobody(sound):
    assert measure_voice(sound.astype(np.float32), RATE) is None


def test_noise_has_no_pitch():
    assert measure_voice(generator("noise").normal(0, 0.1, RATE).astype(np.float32), RATE) is None


def measures(pitch):
    return VoiceMeasures(pitch=pitch, melody=1.0, rise=0.0, energy=-20.0, tempo=3.0)


def test_words_are_relative_to_the_speaker_where_there_are_enough_clips():
    own = {f"a{number}": measures(10.0) for number in range(OWN_CLIPS)}
    others = {f"b{number}": measures(2.0) for number in range(OWN_CLIPS - 1)} | {"c": measures(2.0)}
    speakers = dict.fromkeys(own, "a") | dict.fromkeys(others, "b") | {"c": None}
    found = habits(own | others, speakers)
    assert found["a0"].pitch == 10.0
    assert found["b0"].pitch == found["c"].pitch == 6.0
    assert tone_of(measures(10.0), found["a0"]) == "even"
    assert tone_of(measures(10.0), found["c"]) == "high"
    assert tone_of(measures(2.0), found["c"]) == "low"
