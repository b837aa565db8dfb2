"""A recording's course, and what it is divided by: loud stretches, shots, segments of bounded length."""

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.config.timeline import TimelineConfig
from emo.extractors.course import colours, difference
from emo.extractors.media import read_views
from emo.extractors.segments import divided
from emo.extractors.shots import shot_cuts
from emo.extractors.voiced import voiced_stretches
from emo.testing import drawn_face, tone, write_clip
from emo.views import ChangeView, LevelView

HOP = 0.02
FRAME_S = 0.04
EDGE_S = 0.25  # a drawn voice swells and fades over this long


@pytest.fixture(scope="module")
def course(joined_film):
    from emo.clip import Clip

    views = [LevelView(HOP), ChangeView()]
    read = read_views(Clip(clip_id="talk", path=joined_film.path), views)
    return tuple(read[view] for view in views)


def test_the_cuts_of_a_joined_film_are_found_to_the_picture_and_no_others(joined_film, course):
    _, changes = course
    found = shot_cuts(changes.array, changes.times)
    assert found == pytest.approx(joined_film.cuts, abs=FRAME_S)


def test_its_pauses_are_what_lies_between_voices(joined_film, course):
    levels, _ = course
    voice = voiced_stretches(levels.array, levels.times, HOP)
    gaps = [
        (before[1], after[0])
        for before, after in zip(voice, [*voice[1:], (joined_film.seconds, 0)], strict=True)
    ]
    for start, end in joined_film.pauses:
        assert any(abs(start - first) < EDGE_S and abs(end - last) < EDGE_S for first, last in gaps), (
            start,
            end,
            gaps,
        )


def test_levels_are_root_mean_squares_at_whole_steps_of_the_files_own_time(course, clip_of, tmp_path):
    path = write_clip(tmp_path / "a.wav", None, np.concatenate([0 * tone(0.5), tone(0.5)]))
    view = LevelView(0.1)
    found = read_views(clip_of(path, start=0.25, end=0.95), [view])[view]
    assert found.times == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert found.array[:3].max() == 0
    assert found.array[3:] == pytest.approx(0.2 / np.sqrt(2), rel=0.01)
    assert found.meta["file_seconds"] == 1.0


def test_a_sound_that_is_not_finite_somewhere_is_quiet_there(clip_of, tmp_path):
    samples = np.where(np.arange(16_000) < 320, np.nan, 0.2).astype("<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, 16_000, 64_000, 4, 32)  # IEEE floats, mono
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples
    (tmp_path / "nan.wav").write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    view = LevelView()
    found = read_views(clip_of(tmp_path / "nan.wav"), [view])[view].array
    assert found[0] == 0
    assert found[1:] == pytest.approx(0.2, rel=1e-3)


def test_pictures_change_where_the_scene_is_another_and_only_there(clip_of, tmp_path):
    one, other = drawn_face(160, 120), 255 - drawn_face(160, 120)
    path = write_clip(tmp_path / "a.mp4", [one] * 10 + [other] * 10, None)
    view = ChangeView()
    found = read_views(clip_of(path), [view])[view]
    assert int(found.array.argmax()) == 10
    assert found.array[10] > 0.5 > 0.05 > np.delete(found.array, 10).max()


def test_a_difference_is_none_for_the_same_picture_and_whole_for_other_colours():
    black, white = (np.full((36, 64, 3), value, np.uint8) for value in (0, 255))
    assert difference(colours(black), colours(black)) == 0
    assert difference(colours(black), colours(white)) == 1
    half = black.copy()
    half[:, :32] = 255
    assert difference(colours(black), colours(half)) == pytest.approx(0.5)


def test_a_flash_is_not_two_shots_and_a_moving_camera_none():
    times = np.arange(200) / 25
    flash = np.full(200, 0.01, np.float32)
    flash[[100, 101]] = 0.6
    assert len(shot_cuts(flash, times)) == 1
    pan = np.full(200, 0.12, np.float32)
    assert shot_cuts(pan, times) == []


def loud(pattern):
    """Levels and times of stretches (seconds, decibels)."""
    levels = np.concatenate([np.full(round(length / HOP), 10 ** (db / 20)) for length, db in pattern])
    return levels.astype(np.float32), np.arange(len(levels)) * HOP


def voice(pattern, **settings):
    return voiced_stretches(*loud(pattern), HOP, TimelineConfig(**settings))


def test_a_voice_goes_on_through_a_short_pause_and_a_knock_is_none():
    found = voice([(1, -70), (1, -20), (0.2, -70), (1, -20), (1, -70), (0.06, -20), (1, -70)])
    assert len(found) == 1
    assert found[0] == pytest.approx((1.0, 3.2), abs=0.05)


def test_a_voice_that_falls_a_little_has_not_ended_but_does_not_begin_there():
    fading = [(1, -70), (1, -20), (1, -48), (1, -70)]
    assert voice(fading)[0] == pytest.approx((1.0, 3.0), abs=0.05)
    assert voice(fading, hysteresis=0.0)[0] == pytest.approx((1.0, 2.0), abs=0.05)
    assert voice([(1, -70), (1, -48), (1, -70), (1, -20), (1, -70)])[0][0] == pytest.approx(3.0, abs=0.05)


def test_steady_noise_is_no_voice_where_a_voice_is_above_it():
    found = voice([(2, -40), (1, -20), (2, -40)])
    assert found == [pytest.approx((2.0, 3.0), abs=0.05)]


def test_silence_has_no_voice_and_a_sound_without_a_pause_is_one():
    assert voice([(3, -120)]) == []
    assert voice([(3, -20)]) == [pytest.approx((0, 3), abs=0.05)]
    assert voiced_stretches(np.zeros(0, np.float32), np.zeros(0), HOP) == []


def test_what_is_missing_in_a_sound_is_quiet():
    levels, times = loud([(4, -20)])
    keep = (times < 1) | (times > 3)
    found = voiced_stretches(levels[keep], times[keep], HOP)
    assert found == [pytest.approx((0, 1), abs=0.05), pytest.approx((3, 4), abs=0.05)]


def edges(segments):
    return [segments[0].start, *(segment.end for segment in segments)]


def test_a_video_is_divided_at_shots_and_voices():
    found = divided(0, 12, [6.0], [(1.5, 4.0), (7.5, 9.5)])
    assert edges(found) == [0, 1.5, 4.0, 6.0, 7.5, 9.5, 12]
    assert [one.shot for one in found] == [1, 1, 1, 2, 2, 2]
    assert [one.voice for one in found] == [0, 1, 0, 0, 1, 0]


def test_where_two_boundaries_are_close_the_shot_stays():
    assert edges(divided(0, 8, [4.0], [(1.0, 3.6)])) == [0, 1.0, 4.0, 8]
    assert edges(divided(0, 8, [4.0], [(4.3, 7.0)])) == [0, 4.0, 7.0, 8]


def test_what_is_too_long_is_divided_evenly():
    assert edges(divided(0, 25, [], [])) == pytest.approx([0, 25 / 3, 50 / 3, 25], abs=1e-3)
    assert edges(divided(0, 20, [], [])) == [0, 10, 20]


spans = st.floats(0, 100).map(lambda value: round(value, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(spans, max_size=12), st.lists(spans, max_size=12), st.floats(3, 100), st.floats(0.5, 3))
def test_segments_cover_the_video_once_and_each_has_a_length_that_is_allowed(cuts, sounds, end, shortest):
    config = TimelineConfig(shortest=shortest, longest=2.5 * shortest)
    ordered = sorted(sounds)
    voices = [pair for pair in zip(ordered[::2], ordered[1::2], strict=False) if pair[0] < pair[1]]
    found = divided(0, end, sorted(cuts), voices, config)
    assert found[0].start == 0 and found[-1].end == end
    assert all(one.end == other.start for one, other in pairwise(found))
    lengths = [one.end - one.start for one in found]
    assert max(lengths) <= config.longest + 0.003
    assert min(lengths) >= min(shortest, end) - 0.003
    assert all(0 <= one.voice <= 1 for one in found)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"longest": 1.5}, "twice the shortest"),
        ({"shortest": 0.01}, "0.2 s at least"),
        ({"shot_change": 0.0}, "above 0"),
        ({"stretch": 1.0}, "5 to 600"),
        ({"hysteresis": -1.0}, "0 or more"),
    ],
)
def test_settings_that_do_not_go_together_are_told(wrong, said):
    assert any(said in mistake for mistake in TimelineConfig(**wrong).mistakes())
    assert not TimelineConfig().mistakes()
