"""Everybody in a clip: linked faces, who speaks, which person a view is of."""

import numpy as np
from emo_tests_films import PICTURES_A_SECOND, opening, voice_of

from emo.extractors.detector import Box
from emo.extractors.media import read_views
from emo.extractors.speaking import LEAST_FRAMES, speaking_score
from emo.extractors.tracks import Linker
from emo.testing import SOUND_RATE
from emo.views import AudioView, FacesView, FrameView, PeopleView, ViewProblem

LEFT, RIGHT = Box(0, 0, 40, 40), Box(60, 0, 90, 30)


def test_faces_are_linked_by_overlap_and_numbered_from_the_left():
    linker = Linker()
    for time in range(4):
        linker.add(time / 4, [Box(1, 0, 41, 40), RIGHT] if time % 2 else [LEFT, RIGHT])
    (_, first), (_, second) = linker.people()
    assert first.boxes[:, 0].tolist() == [0, 1, 0, 1]
    assert second.boxes[:, 0].tolist() == [60] * 4
    assert (first.looks, first.several) == (4, 4)


def test_a_face_that_is_back_within_a_second_is_the_same_and_later_somebody_new():
    linker = Linker()
    for time in (0.0, 0.3, 1.2, 2.6, 2.9):
        linker.add(time, [LEFT])
    assert [seen.times for seen, _ in linker.people()] == [[0.0, 0.3, 1.2], [2.6, 2.9]]


def test_a_face_seen_once_among_many_looks_does_not_count():
    linker = Linker()
    for look in range(8):
        linker.add(look / 4, [LEFT, RIGHT] if look == 3 else [LEFT])
    assert len(linker.people()) == 1


def test_each_face_goes_to_one_track_the_best_pair_first():
    linker = Linker()
    near = Box(0, 0, 40, 36)
    linker.add(0.0, [LEFT])
    linker.add(0.3, [Box(0, 8, 40, 48), near])
    assert linker.sightings[0].boxes == [LEFT, near]
    assert len(linker.sightings) == 2


def mouths_of(openness, seed=0):
    """Grey mouths (n, 20, 32) that are dark where they are open, on an unsteady box."""
    rng = np.random.default_rng(seed)
    found = []
    for share in openness:
        mouth = np.full((24, 36), 180.0)
        mouth[12 - round(6 * share) : 13 + round(6 * share), 8:28] = 40
        down, right = rng.integers(0, 4, 2)
        found.append(mouth[down : down + 20, right : right + 32] + rng.normal(0, 3, (20, 32)))
    return np.clip(found, 0, 255).astype(np.uint8)


def test_the_mouth_that_follows_the_sound_scores_and_another_does_not():
    times = np.arange(100) / PICTURES_A_SECOND
    sound = voice_of(5, 4.0)
    own = speaking_score(times, mouths_of(opening(times, 5)), sound, SOUND_RATE, 0.0)
    others = [
        speaking_score(times, mouths_of(opening(times, seed)), sound, SOUND_RATE, 0.0) for seed in (6, 7)
    ]
    assert own > 0.6
    assert max(others) < 0.4


def test_nothing_is_said_of_too_few_frames_no_sound_silence_or_a_picture_that_stands_still():
    times = np.arange(50) / PICTURES_A_SECOND
    mouths, sound = mouths_of(opening(times, 5)), voice_of(5, 2.0)
    few = LEAST_FRAMES - 1
    assert speaking_score(times[:few], mouths[:few], sound, SOUND_RATE, 0.0) is None
    assert speaking_score(times, mouths, sound[:0], SOUND_RATE, 0.0) is None
    assert speaking_score(times, mouths, 0 * sound, SOUND_RATE, 0.0) is None
    assert speaking_score(times, np.repeat(mouths[:1], 50, axis=0), sound, SOUND_RATE, 0.0) is None


def test_policies_take_the_speaker_and_the_listener_and_the_record_says_so(talk, clip_of, good):
    views = {
        policy: FacesView(sampling="uniform:2", size=32, policy=policy) for policy in ("active", "listener")
    }
    found = read_views(clip_of(talk), views.values())
    active, listener = (good(found[views[policy]]) for policy in ("active", "listener"))
    assert active.meta["median_box"][0] > 160 > listener.meta["median_box"][0]
    assert (active.meta["role"], listener.meta["role"]) == ("active-speaker", "listener")
    people = active.meta["people"]
    assert [one["person"] for one in people] == [1, 2]
    assert [one["chosen"] for one in people] == [False, True]
    assert people[1]["speaking"] > 0.4 > people[0]["speaking"]
    assert active.meta["margin"] == 0.1
    assert active.meta["alignment"] == "box"


def test_a_clip_that_names_a_person_overrules_the_policy(talk, clip_of, good):
    view = FacesView(sampling="uniform:2", size=32, policy="largest")
    found = good(read_views(clip_of(talk, person=2), [view])[view])
    assert found.meta["median_box"][0] > 160
    missing = read_views(clip_of(talk, person=3), [view, AudioView(), FrameView("middle")])
    assert missing[view] == ViewProblem(
        status="missing:no_person", reason="person 3 is asked for, 2 are seen"
    )
    good(missing[AudioView()])
    good(missing[FrameView("middle")])


def test_all_faces_of_the_speaker_are_those_of_one_person(talk, clip_of, good):
    view = FacesView(sampling="all", size=32, policy="active")
    found = good(read_views(clip_of(talk), [view])[view])
    assert len(found.array) == len(found.times) == 80
    assert found.meta["median_box"][0] > 160


def test_one_face_that_speaks_has_no_listener_and_no_speaker_is_the_largest_face(
    clips, clip_of, good, tmp_path
):
    view = FacesView(sampling="uniform:2", size=32, policy="listener")
    found = read_views(clip_of(clips["mute.mp4"]), [view])[view]
    assert isinstance(found, ViewProblem)
    assert found.status == "missing:no_person"
    active = FacesView(sampling="uniform:2", size=32, policy="active")
    taken = good(read_views(clip_of(clips["mute.mp4"]), [active])[active])
    assert taken.meta["role"] == "unknown"
    assert "no_speaker" in taken.flags


def test_following_people_changes_nothing_for_sound_without_pictures(clips, clip_of, good):
    views = [AudioView(), FacesView(policy="active")]
    found = read_views(clip_of(clips["sound.wav"]), views)
    good(found[views[0]])
    assert found[views[1]].status == "missing:no_video"


def test_portraits_are_of_everybody_from_the_left_and_say_who_speaks_and_who_is_largest(talk, clip_of, good):
    view = PeopleView(size=48)
    found = good(read_views(clip_of(talk), [view])[view])
    assert found.array.shape == (2, 48, 48, 3)
    assert (found.meta["largest"], found.meta["likeliest_speaker"]) == (1, 2)
    assert [one["median_box"][0] > 160 for one in found.meta["people"]] == [False, True]
    middle = found.array[:, 20:28, 20:28].reshape(2, -1, 3).mean(axis=1)
    assert np.abs(middle - (214, 170, 140)).max() < 60  # skin, not background


def test_where_nobody_is_seen_and_where_nothing_is_heard_that_is_said(clips, clip_of, good):
    view = PeopleView()
    nobody = read_views(clip_of(clips["blank.mp4"]), [view])[view]
    assert nobody.status == "missing:no_face"
    assert read_views(clip_of(clips["sound.wav"]), [view])[view].status == "missing:no_video"
    mute = good(read_views(clip_of(clips["mute.mp4"]), [view])[view])
    assert (mute.meta["largest"], mute.meta["likeliest_speaker"]) == (1, None)
