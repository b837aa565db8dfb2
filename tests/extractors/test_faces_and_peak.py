"""Which face, where, and which frame says most."""

import numpy as np
import pytest

from emo.errors import ConfigError, MediaError
from emo.extractors.container import Span
from emo.extractors.detector import Box, detect, detection_size
from emo.extractors.faces import continued, crop, follow
from emo.extractors.media import read_views
from emo.extractors.peak import au_peak, change_peak
from emo.extractors.pictures import NearestPictures
from emo.extractors.sampling import moment_count, moments, spread
from emo.testing import drawn_face, write_clip
from emo.views import FacesView, FrameView, ViewProblem

WHOLE = Span(start=0.0, end=100.0)
SMALL, LARGE = Box(10, 10, 30, 30), Box(50, 0, 100, 50)


class TimedPicture:
    def __init__(self, time):
        self.time = time


def test_uniform_moments_are_the_middles_of_equal_parts():
    assert moments("uniform:4", 1.0, 3.0) == [1.25, 1.75, 2.25, 2.75]


def test_two_moments_in_each_of_eight_segments_are_sixteen_uniform_ones():
    assert moments("segments:8x2", 0.0, 4.0) == moments("uniform:16", 0.0, 4.0)


@pytest.mark.parametrize("rule", ["uniform", "uniform:0", "uniform:-1", "segments:8", "everything", ""])
def test_other_sampling_rules_are_refused(rule):
    with pytest.raises(ConfigError):
        moment_count(rule)


@pytest.mark.parametrize(
    ("count", "chosen", "indices"),
    [(16, 4, [0, 5, 10, 15]), (16, 0, list(range(16))), (3, 9, [0, 1, 2]), (5, 1, [2]), (5, 2, [0, 4])],
)
def test_looks_are_spread_over_the_clip(count, chosen, indices):
    assert spread(count, chosen) == indices


def test_each_moment_gets_the_frame_nearest_to_it():
    generator = np.random.default_rng(0)
    times = np.sort(generator.uniform(0, 2, 40))
    wanted = list(generator.uniform(-0.1, 2.1, 25))
    nearest = NearestPictures(wanted)
    for time in times:
        nearest.feed(TimedPicture(float(time)))
    nearest.finish()
    for moment in wanted:
        assert abs(nearest.at(moment).time - moment) == pytest.approx(np.abs(times - moment).min())


def test_a_moment_between_two_frames_takes_the_earlier_whatever_the_rounding():
    for shift in (0.0, 1e-9, -1e-9):
        nearest = NearestPictures([0.5 + shift])
        nearest.feed(TimedPicture(0.4))
        nearest.feed(TimedPicture(0.6))
        assert nearest.at(0.5 + shift).time == 0.4


def test_the_largest_face_is_found_first_and_then_followed():
    looks = [(0.0, [LARGE, SMALL]), (1.0, [Box(12, 10, 32, 30), Box(52, 2, 90, 40)])]
    track = follow(looks, "largest", (100, 100))
    assert track.boxes[:, 0].tolist() == [50, 52]
    assert (track.looks, track.several) == (2, 2)


def test_the_central_policy_takes_the_face_nearest_to_the_middle():
    assert continued([LARGE, Box(40, 40, 60, 60)], None, "central", (100, 100)) == Box(40, 40, 60, 60)


def test_a_face_that_is_gone_is_replaced_by_the_policys_choice():
    elsewhere = Box(0, 60, 10, 70)
    assert continued([elsewhere, LARGE], SMALL, "largest", (100, 100)) == LARGE


def test_boxes_between_looks_are_interpolated_and_held_outside():
    track = follow([(1.0, [Box(0, 0, 10, 10)]), (2.0, []), (3.0, [Box(1, 2, 11, 12)])], "largest", (50, 50))
    assert track.at(2.0) == Box(0.5, 1.0, 10.5, 11.0)
    assert track.at(0.0) == Box(0, 0, 10, 10)
    assert track.at(9.0) == Box(1, 2, 11, 12)
    assert track.meta(FacesView())["no_face_share"] == pytest.approx(1 / 3, abs=1e-4)


def test_nobody_anywhere_is_no_track():
    assert follow([(0.0, []), (1.0, [])], "largest", (10, 10)) is None


def test_a_crop_is_the_square_around_the_box_and_its_margin():
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[20:60, 30:70] = 255
    exact = crop(picture, Box(30, 20, 70, 60), 0.0, 40)
    assert exact.min() == 255
    wider = crop(picture, Box(30, 20, 70, 60), 0.25, 60)
    assert wider[30, 30, 0] == 255
    assert wider[:9].max() == wider[-9:].max() == 0


def test_beyond_the_picture_its_edge_is_repeated():
    picture = np.full((40, 40, 3), 200, np.uint8)
    assert crop(picture, Box(-10, -10, 20, 20), 0.5, 32).min() == 200


def test_detection_looks_at_large_pictures_in_small():
    assert detection_size(1920, 1080) == (640, 360)
    assert detection_size(320, 240) == (320, 240)


def test_the_detector_finds_a_drawn_face_where_it_was_drawn():
    (box,) = detect(drawn_face(320, 240, centre=(0.4, 0.5)))
    assert box.centre == pytest.approx((128, 125), abs=14)


def test_the_larger_of_two_people_is_kept_and_the_other_recorded(tmp_path, clip_of, good):
    left, right = drawn_face(160, 160, size=0.45), drawn_face(160, 160, size=0.8)
    both = np.concatenate([left, right], axis=1)
    path = write_clip(tmp_path / "two.mp4", [both] * 4, None)
    view = FacesView(sampling="uniform:2", size=32)
    faces = good(read_views(clip_of(path), [view])[view])
    assert faces.meta["median_box"][0] > 160
    assert faces.meta["several_share"] == 1.0


def test_every_frame_with_a_face_is_in_the_view_of_all_faces(clips, clip_of, good):
    view = FacesView(sampling="all", size=32)
    faces = good(read_views(clip_of(clips["mute.mp4"]), [view])[view])
    assert faces.array.shape[0] == len(faces.times) > 10
    assert np.diff(faces.times).min() > 0


def write_units(path, rows, header="frame, face_id, timestamp, confidence, success, AU01_r, AU12_r, AU45_r"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_the_peak_is_the_row_with_the_largest_sum_without_the_blink(tmp_path):
    rows = [
        "1, 0, 0.00, 0.98, 1, 1.0, 0.5, 0.0",
        "2, 0, 0.04, 0.98, 1, 0.0, 0.0, 5.0",
        "3, 0, 0.08, 0.98, 1, 1.0, 2.5, 0.0",
        "4, 0, 0.12, 0.10, 0, 5.0, 5.0, 0.0",
        "5, 0, 0.16, 0.98, 1, 3.0, 0.5, 0.0",
    ]
    path = write_units(tmp_path / "au.csv", rows)
    assert au_peak(path, WHOLE, 25.0) == 0.08
    assert au_peak(path, Span(start=0.1, end=1.0), 25.0) == 0.16


def test_without_timestamps_the_frame_number_tells_the_time(tmp_path):
    path = write_units(tmp_path / "au.csv", ["1,0.1", "11,3.0", "12,0.2"], header="frame,AU04_r")
    assert au_peak(path, WHOLE, 20.0) == 0.5


@pytest.mark.parametrize(
    "rows", [[], ["1, 0, x, 0.98, 1, 1.0, 0.5, 0.0"], ["1, 0, 0.0, 0.9, 0, 1.0, 0.5, 0.0"]]
)
def test_an_action_unit_file_without_usable_rows_is_a_status(tmp_path, clips, clip_of, rows):
    path = write_units(tmp_path / "au.csv", rows)
    with pytest.raises(MediaError, match=r"au\.csv"):
        au_peak(path, WHOLE, 25.0)
    view = FrameView("peak")
    found = read_views(clip_of(clips["face.mp4"], au_path=path), [view])[view]
    assert isinstance(found, ViewProblem)
    assert found.status == "failed:bad_au_file"


def test_the_action_unit_file_decides_the_peak_frame(tmp_path, clips, clip_of, good):
    path = write_units(tmp_path / "au.csv", ["1, 0, 0.4, 1, 1, 0, 0, 0", "2, 0, 0.64, 1, 1, 2, 2, 0"])
    view = FrameView("peak")
    found = good(read_views(clip_of(clips["face.mp4"], au_path=path), [view])[view])
    assert found.meta["rule"] == "peak:au"
    assert found.times[0] == pytest.approx(0.64, abs=0.001)


def test_without_one_the_peak_is_where_the_face_changes_most(clips, clip_of, good):
    view = FrameView("peak")
    found = good(read_views(clip_of(clips["face.mp4"]), [view])[view])
    assert found.meta["rule"] == "peak:face_change"
    assert 1.2 <= found.times[0] < 1.4


def test_without_a_face_the_peak_falls_back_to_the_middle_and_says_so(clips, clip_of, good):
    view = FrameView("peak")
    found = good(read_views(clip_of(clips["blank.mp4"]), [view])[view])
    assert found.meta["rule"] == "middle:no_face"
    assert found.flags == ("no_peak",)


def test_an_unsteady_box_is_no_change():
    generator = np.random.default_rng(0)
    scene = generator.integers(0, 256, (80, 80, 3), dtype=np.uint8)
    faces = np.stack(
        [scene[8 + dy : 72 + dy, 8 + dx : 72 + dx] for dy, dx in [(0, 0), (0, 0), (3, -2), (0, 0)]]
    )
    faces[1, 20:40, 20:40] //= 2
    assert change_peak(faces) == 1
