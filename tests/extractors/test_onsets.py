"""Frames where expressions begin, are largest and end."""

import numpy as np
import pytest

from emo.errors import ConfigError
from emo.extractors.media import read_views
from emo.extractors.onsets import change_course, expressive_moments
from emo.extractors.sampling import expressive, moment_count, moments
from emo.views import FacesView, ViewProblem

TIMES = np.arange(100) / 25
VIEW = FacesView(sampling="onset-apex-offset:6", size=32)


def bump(apex, height, half=0.08):
    return height * np.clip(1 - np.abs(TIMES - apex) / half, 0, 1)


def test_the_largest_expressions_give_onset_apex_and_offset_and_gaps_are_filled():
    course = 1 + bump(1.0, 5) + bump(3.0, 2)
    found = expressive_moments(TIMES, course, 0.0, 4.0, 16)
    assert len(found) == 16 == len(set(found))
    assert found == sorted(found)
    assert {0.92, 1.0, 1.08, 2.92, 3.0, 3.08} <= {round(moment, 2) for moment in found}
    assert np.diff([0.0, *found, 4.0]).max() < 0.5


def test_with_few_moments_the_most_prominent_expression_comes_first():
    course = 1 + bump(1.0, 5) + bump(3.0, 2)
    assert np.round(expressive_moments(TIMES, course, 0.0, 4.0, 3), 2).tolist() == [0.92, 1.0, 1.08]


def test_an_expression_may_begin_before_the_clip_and_outlast_it():
    assert expressive_moments(TIMES, np.linspace(1, 0, 100), 0.0, 4.0, 1) == [0.0]
    assert expressive_moments(TIMES, np.linspace(0, 1, 100), 0.0, 4.0, 1) == [TIMES[-1]]


@pytest.mark.parametrize("course", [np.ones(100), np.zeros(0)])
def test_a_flat_or_empty_course_gives_evenly_spread_moments(course):
    assert expressive_moments(TIMES[: len(course)], course, 0.0, 4.0, 3) == [1.0, 2.0, 3.0]


def test_change_is_measured_where_faces_fit_best():
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (40, 40), dtype=np.uint8)
    faces = np.stack(
        [scene[4 + dy : 36 + dy, 4 + dx : 36 + dx] for dy, dx in [(0, 0), (2, -1), (0, 0), (0, 0), (0, 0)]]
    )
    faces[3, 8:20, 8:20] //= 2
    course = change_course(faces)
    assert course[:3].tolist() == [0, 0, 0]
    assert course[3] > 5


def test_the_rule_has_a_count_but_no_moments_of_its_own():
    assert moment_count("onset-apex-offset:16") == 16
    assert expressive("onset-apex-offset:16")
    assert not expressive("uniform:16")
    with pytest.raises(ConfigError, match="no moments of its own"):
        moments("onset-apex-offset:16", 0.0, 1.0)


def test_a_mouth_open_for_a_fifth_of_a_second_is_among_the_frames(clips, clip_of, good):
    found = good(read_views(clip_of(clips["face.mp4"]), [VIEW])[VIEW])
    assert len(found.array) == 6
    assert ((found.times >= 1.2) & (found.times < 1.4)).sum() >= 1
    assert found.meta["course"] == "face_change"


def test_an_action_unit_file_decides_the_moments(tmp_path, clips, clip_of, good):
    path = tmp_path / "au.csv"
    rows = [f"{n + 1},{n / 25},1,{5 if n in (19, 20) else 0}" for n in range(50)]
    path.write_text("\n".join(["frame,timestamp,success,AU12_r", *rows]))
    found = good(read_views(clip_of(clips["face.mp4"], au_path=path), [VIEW])[VIEW])
    assert {0.76, 0.72, 0.84} & {round(float(time), 2) for time in found.times}
    assert found.meta["course"] == "au"
    path.write_text("frame,timestamp\n1,0\n")
    problem = read_views(clip_of(clips["face.mp4"], au_path=path), [VIEW])[VIEW]
    assert isinstance(problem, ViewProblem)
    assert problem.status == "failed:bad_au_file"
