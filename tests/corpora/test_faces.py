"""Faces move where their action units are, and nowhere else."""

import numpy as np
import pytest

from emo.corpora.rendered.face import FaceRenderer
from emo.corpora.rendered.identity import draw_identity
from emo.corpora.rendered.pose import Pose
from emo.corpora.rendered.units import PROFILES, UNITS

UPPER = (1, 2, 4, 5, 45)
LOWER = (10, 12, 14, 15, 17, 20, 23, 25, 26)


def renderer(number=1, seed=0, **size):
    return FaceRenderer(draw_identity("corpus", 0, number), np.random.default_rng(seed), **size)


def changes(units, number=1, border=0.55):
    """How much the picture changes above and below a border, as a share of the face's height."""
    drawn = renderer(number)
    still, box = drawn.frame({})
    moved, _ = drawn.frame(units)
    difference = np.abs(moved.astype(int) - still).sum(axis=(1, 2))
    row = round(box[1] + border * (box[3] - box[1]))
    return difference[:row].sum(), difference[row:].sum()


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("number", [1, 4])
def test_every_unit_is_visible(unit, number):
    assert sum(changes({unit: 0.8}, number)) > 1500


@pytest.mark.parametrize("unit", UPPER)
def test_units_of_brows_and_eyes_leave_the_mouth_alone(unit):
    above, below = changes({unit: 1.0})
    assert below < 0.02 * above


@pytest.mark.parametrize("unit", LOWER)
def test_units_of_the_mouth_leave_brows_and_eyes_alone(unit):
    above, below = changes({unit: 1.0}, border=0.42)
    assert above < 0.05 * below


def test_a_stronger_unit_changes_more():
    sums = [sum(changes({12: level})) for level in (0.2, 0.5, 1.0)]
    assert sums == sorted(sums) and sums[0] > 0


def test_smile_lifts_and_sadness_lowers_the_corners_of_the_mouth():
    drawn = renderer(8)
    lit = {
        name: drawn.frame(units)[0].astype(int).sum(axis=2)
        for name, units in {"up": {12: 1.0}, "still": {}, "down": {15: 1.0}}.items()
    }
    _, box = drawn.frame({})
    rows = np.arange(240)[:, None]
    mouth = slice(round(box[1] + 0.6 * (box[3] - box[1])), round(box[3]))

    def darkness_at(picture):
        change = np.clip(lit["still"] - picture, 0, None)[mouth]
        return (change * rows[mouth]).sum() / change.sum()

    assert darkness_at(lit["up"]) < darkness_at(lit["down"])


def test_a_frame_depends_on_nothing_but_its_arguments():
    first = renderer()
    first.frame({12: 1.0}, Pose(roll=0.1), grain=3)
    again = first.frame({4: 0.5}, Pose(yaw=0.05), grain=2)
    fresh = renderer().frame({4: 0.5}, Pose(yaw=0.05), grain=2)
    assert np.array_equal(again[0], fresh[0]) and again[1] == fresh[1]


def test_the_box_follows_the_head():
    drawn = renderer()
    _, still = drawn.frame({})
    _, moved = drawn.frame({26: 1.0}, Pose(dx=0.2))
    assert moved[0] > still[0] and moved[2] > still[2] and moved[3] > still[3] and moved[1] == still[1]


def test_a_head_half_out_of_the_picture_is_drawn():
    picture, _ = renderer().frame({26: 1.0}, Pose(dx=-3.2, dy=1.5, roll=0.6))
    assert picture.shape == (240, 320, 3)


def test_other_sizes_scale_the_face():
    picture, box = renderer(width=480, height=360).frame({})
    _, usual = renderer().frame({})
    assert picture.shape == (360, 480, 3)
    assert (box[2] - box[0]) / (usual[2] - usual[0]) == pytest.approx(1.5)


def test_a_unit_that_cannot_be_drawn_is_refused():
    with pytest.raises(KeyError, match="28"):
        renderer().frame({28: 1.0})


def test_profiles_use_known_units_only():
    assert {unit for variants in PROFILES.values() for profile in variants for unit in profile} <= set(UNITS)
