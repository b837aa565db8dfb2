"""Valence and votes of a manifest come by clip id, and what cannot be read is named."""

import json

import pytest

from emo.corpora import clips_in
from emo.corpora.ratings import read_ratings
from emo.errors import ConfigError


def ratings(place):
    return read_ratings(place, clips_in(place)[0])


def test_columns_of_json_lines_are_read_by_clip(tmp_path):
    rows = [
        {"path": "a.mp4", "valence": -1.5, "votes": {"happy": 7, "sad": 3}},
        {"path": "b.mp4", "clip_id": "named", "val": "2"},
        {"path": "c.mp4", "valence": "", "votes": None},
    ]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert ratings(tmp_path) == ({"a": -1.5, "named": 2.0}, {"a": {"happy": 7, "sad": 3}})


def test_columns_of_csv_are_read_by_clip(tmp_path):
    (tmp_path / "m.csv").write_text('path,valence,votes\na.mp4,0.5,"{""happy"": 7}"\nb.mp4,,\n')
    assert ratings(tmp_path / "m.csv") == ({"a": 0.5}, {"a": {"happy": 7}})


def test_a_folder_without_a_manifest_has_no_ratings(tmp_path):
    (tmp_path / "a.mp4").touch()
    assert ratings(tmp_path) == ({}, {})


def test_every_value_that_is_no_rating_is_named(tmp_path):
    rows = [
        {"path": "a.mp4", "valence": "high", "votes": {"happy": "x"}},
        {"path": "b.mp4", "valence": "nan", "votes": "7 happy"},
        {"path": "c.mp4", "valence": True, "votes": {"sad": -1}},
    ]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(ConfigError) as caught:
        ratings(tmp_path)
    assert len(caught.value.mistakes) == 6
    assert "clip 'a': valence 'high' is no number" in caught.value.mistakes[0]
    assert "clip 'b': votes '7 happy' are not like" in str(caught.value)
