"""Conventions of MOSI, MOSEI and SIMS on clips worked by hand. Formulas: test_references.py."""

from emo.evaluation.sentiment import mosi, sims


def test_a_neutral_clip_is_left_out_kept_or_negative_by_the_convention():
    truth, predicted = [0.0, 0.0, 1.0, -1.0], [0.5, -0.5, 1.0, -1.0]
    both = mosi(truth, predicted)
    assert (both.value("acc2_non0"), both.value("acc2_has0")) == (1.0, 0.75)
    assert both.details["neutral_clips"] == 2
    assert sims(truth, predicted).value("acc2") == 0.75


def test_halves_round_to_even():
    assert mosi([0.5, 1.5], [0.0, 2.0]).value("acc7") == 1.0
