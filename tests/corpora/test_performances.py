"""Plans hold what they promise; in random ones nothing foretells anything else."""

from dataclasses import replace

import numpy as np
import pytest

from emo.corpora.rendered.identity import draw_identity
from emo.corpora.rendered.performance import (
    CONDITIONS,
    WEAK,
    plan_performance,
    pose_at,
    random_performance,
    unit_curves,
    units_at,
)
from emo.corpora.rendered.tone import TONE_FIELDS
from emo.corpora.rendered.units import EXPRESSIVE
from emo.labels import MER2023, MERR

SPEAKER = draw_identity("corpus", 0, 0)


def plan(seed=0, label="happy", condition="agree", **options):
    return plan_performance(np.random.default_rng(seed), SPEAKER, label, condition, others=MER2023, **options)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_touches_the_modality_it_names_and_no_other(condition):
    part, _, how = condition.partition("_")
    for seed in range(20):
        drawn = plan(seed, condition=condition)
        shown = {"face": drawn.face, "voice": drawn.voice}
        assert {name for name, label in shown.items() if label != "happy"} == (
            {part} if how == "differs" else set()
        )
        assert drawn.weak == ((part,) if how == "weak" else ())


def test_a_weak_face_barely_moves():
    for seed in range(20):
        drawn = plan(seed, "surprise", "face_weak")
        meant = [movement.intensity for movement in drawn.movements if not movement.idle]
        assert all(intensity <= WEAK[1] * 1.2 for intensity in meant)


@pytest.mark.parametrize("label", MERR)
def test_short_expressions_last_less_than_half_a_second(label):
    for seed in range(10):
        meant = [movement for movement in plan(seed, label, short=True).movements if not movement.idle]
        assert all(movement.offset - movement.onset < 0.5 for movement in meant)


def test_expressions_rise_hold_and_fall_within_the_clip():
    for seed in range(30):
        drawn = plan(seed, "angry")
        for movement in drawn.movements:
            assert 0 <= movement.onset < movement.apex < movement.release < movement.offset < drawn.duration


def test_units_start_at_nothing_reach_their_intensity_and_end_at_nothing():
    drawn = plan(3, "angry")
    movement = next(movement for movement in drawn.movements if movement.unit == 4)
    middle = 0.5 * (movement.apex + movement.release)
    assert units_at(drawn, 0.0).get(4, 0.0) == 0.0
    assert units_at(drawn, middle)[4] == pytest.approx(movement.intensity)
    assert units_at(drawn, drawn.duration)[4] == 0.0


def test_the_peak_lies_on_the_plateau_with_open_eyes():
    for seed in range(30):
        drawn = plan(seed, "surprise")
        units = units_at(drawn, drawn.peak)
        for movement in drawn.movements:
            if not movement.idle:
                assert units[movement.unit] >= 0.9 * movement.intensity
        assert units[45] < 0.5


def test_speech_opens_the_mouth_and_blinks_close_the_eyes():
    drawn = plan(1, "neutral")
    syllable, blink = drawn.syllables[0], drawn.blinks[0]
    assert units_at(drawn, syllable.start + 0.5 * syllable.length)[26] > 0.1
    assert units_at(drawn, blink)[45] == 1.0 and units_at(drawn, blink + 0.3)[45] < 1.0


def test_single_moments_and_whole_curves_agree():
    drawn = plan(5, "sad")
    times = np.linspace(0, drawn.duration, 7)
    curves = unit_curves(drawn, times)
    for number, time in enumerate(times):
        assert units_at(drawn, time) == {unit: curve[number] for unit, curve in curves.items()}


def test_the_head_moves_slowly():
    drawn = plan(2)
    steps = [abs(pose_at(drawn, time + 0.04).dx - pose_at(drawn, time).dx) for time in np.arange(0, 2, 0.1)]
    assert 0 < max(steps) < 0.02


def test_clips_last_two_to_four_seconds_in_whole_frames():
    lengths = [plan(seed).duration for seed in range(50)]
    assert min(lengths) >= 2 and max(lengths) <= 4
    assert all(abs(length * 25 - round(length * 25)) < 1e-9 for length in lengths)


def test_in_random_performances_nothing_foretells_anything_else():
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(1500):
        drawn = random_performance(rng)
        intensity = {movement.unit: movement.intensity for movement in drawn.movements}
        rows.append(
            [intensity.get(unit, 0.0) for unit in EXPRESSIVE]
            + [getattr(drawn.tone, name) for name in TONE_FIELDS]
        )
        assert drawn.label == drawn.face == drawn.voice == ""
    correlation = np.corrcoef(np.array(rows).T) - np.eye(len(EXPRESSIVE) + len(TONE_FIELDS))
    assert np.abs(correlation).max() < 0.12


def test_a_plan_can_be_compared_and_changed_as_a_value():
    assert plan(7) == plan(7)
    assert replace(plan(7), duration=9.0) != plan(7)
