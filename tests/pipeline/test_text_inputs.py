"""An encoder of text reads what is said and nothing else: no media, and a new input where the text is new."""

from pathlib import Path

import pytest

from emo.cache import open_cache
from emo.clip import Clip
from emo.digests import StatCache
from emo.extractors.reading import read_views_limited
from emo.pipeline.extract import extract
from emo.pipeline.inputs import InputDigests
from emo.records import NO_INPUT
from emo.views import AudioView, TextView, ViewProblem

NOWHERE = Path("nowhere.mp4")


def said(text, clip_id="a"):
    return Clip(clip_id=clip_id, path=NOWHERE, text=text)


@pytest.fixture
def files(tmp_path):
    return StatCache(tmp_path / "digests.jsonl")


def test_text_alone_is_the_input_where_it_is_all_that_is_read(files):
    digests = [
        InputDigests([clip], files).of({TextView()})[clip.clip_id]
        for clip in (said("no"), said("yes"), said("no", "b"))
    ]
    assert digests[0] == digests[2] != digests[1]
    assert NO_INPUT not in digests


def test_media_and_text_are_both_the_input_of_who_reads_both(files, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"media")
    clips = [Clip(clip_id="a", path=tmp_path / "a.mp4", text=text) for text in ("no", "yes")]
    both = [InputDigests([clip], files).of({TextView(), AudioView()})[clip.clip_id] for clip in clips]
    sound = [InputDigests([clip], files).of({AudioView()})[clip.clip_id] for clip in clips]
    assert both[0] != both[1]
    assert sound[0] == sound[1] not in both


def test_text_is_had_though_the_media_is_not():
    views = read_views_limited(said("no"), {TextView(), AudioView()})
    assert views[TextView()].array[0] == "no"
    assert isinstance(views[AudioView()], ViewProblem)
    assert read_views_limited(said(" "), {TextView()})[TextView()].status == "missing:no_text"


def test_subtitles_become_features_and_new_ones_new_features(tmp_path):
    store = tmp_path / "c.zarr"
    clips = [said("I never thought you would come", "a"), said("", "b"), said("No.", "c")]
    first = extract(clips, ["roberta", "macbert"], store, preset="tiny", jobs=1)
    assert (first.stored, first.already) == (4, 0)
    assert {failure.status for failure in first.failed} == {"missing:no_text"}
    changed = [clips[0], clips[1], said("Yes.", "c")]
    second = extract(changed, ["roberta"], store, preset="tiny", jobs=1)
    assert (second.stored, second.already) == (1, 1)
    assert open_cache(store)["roberta@tiny-random"]["a"].meta == {"text": {"characters": 30}}
