"""How much of an extraction is done is told by seconds of media, not by the number of clips."""

import pytest

from emo.clip import Clip
from emo.pipeline.forecast import MediaDone


def files(tmp_path, *sizes):
    clips = []
    for number, size in enumerate(sizes):
        path = tmp_path / f"c{number}.mp4"
        path.write_bytes(bytes(size))
        clips.append(Clip(clip_id=f"c{number}", path=path))
    return clips


def test_a_long_clip_counts_for_as_much_as_it_lasts(tmp_path):
    clips = files(tmp_path, 100, 100, 800)
    done = MediaDone(clips, {clip.clip_id: 1 for clip in clips})
    assert done.after("c0", 2.0) == pytest.approx(0.1)
    assert done.after("c1", 2.0) == pytest.approx(0.2)
    assert done.after("c2", 16.0) == pytest.approx(1.0)


def test_the_rate_is_learned_so_that_the_share_after_a_few_clips_is_near(tmp_path):
    sizes = [300 + 37 * (number % 11) for number in range(200)]
    clips = files(tmp_path, *sizes)
    done = MediaDone(clips, {clip.clip_id: 1 for clip in clips})
    seconds = [size / (90 + 20 * (number % 2)) for number, size in enumerate(sizes)]
    for number in range(10):
        share = done.after(f"c{number}", seconds[number])
    assert share == pytest.approx(sum(seconds[:10]) / sum(seconds), rel=0.2)


def test_a_cut_is_as_long_as_it_says_and_needs_no_file(tmp_path):
    clips = [Clip(clip_id=str(n), path=tmp_path / "gone", start=n, end=n + 1 + n) for n in range(3)]
    done = MediaDone(clips, {"0": 1, "1": 1, "2": 2})
    assert done.after("0", None) == pytest.approx(1 / 9)
    assert done.after("2", None) == pytest.approx(7 / 9)


def test_nothing_is_said_while_no_length_was_seen(tmp_path):
    clips = files(tmp_path, 10, 10)
    done = MediaDone(clips, {"c0": 1, "c1": 1})
    assert done.after("c0", None) is None
    assert done.after("c1", 3.0) == pytest.approx(1.0)


def test_clips_that_are_stored_already_do_not_count(tmp_path):
    clips = files(tmp_path, 10, 10)
    done = MediaDone(clips, {"c1": 1})
    assert done.after("c1", 3.0) == pytest.approx(1.0)
