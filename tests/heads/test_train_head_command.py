"""`emo train-head` from a cache and a manifest on disk to a head on disk."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.train_head import label_set, train_head
from emo.corpora import write_manifest
from emo.errors import AmbiguousSpace, ConfigError
from emo.heads.loader import load_features
from emo.heads.trained import TrainedHead
from emo.labels import DFEW, MER2023
from emo.records import Record

ARGUMENTS = ["--features", "face,voice", "--labels", "neutral,angry,happy,sad", "--epochs", "4"]
SHARED = ["--allow-leak", "speaker"]  # the clips below have half of their speakers in train and in test


@pytest.fixture
def place(kit, tmp_path):
    """A folder with a manifest and a cache of two features; one clip has no face."""
    clips = [
        replace(clip, split="test" if index % 4 == 0 else "train")
        for index, clip in enumerate(kit.clips(60, speakers=10))
    ]
    write_manifest(tmp_path / "manifest.jsonl", clips)
    cache = open_cache(tmp_path / "features.zarr", "a")
    for space in kit.spaces(clips).values():
        with cache.create(space.spec).writer("none") as sink:
            for record in space.records.values():
                lost = space.spec.encoder == "face" and record.clip_id == "clip001"
                sink.put(replace(record, status="missing:no_face", arrays={}) if lost else record)
    return tmp_path


def invoke(place, *arguments: str):
    fixed = ["--manifest", str(place), "--cache", str(place / "features.zarr"), "--out", str(place / "run")]
    return CliRunner().invoke(train_head, [*fixed, *ARGUMENTS, *SHARED, *arguments], catch_exceptions=False)


def test_the_command_prints_one_json_object_with_n_and_an_interval(place):
    result = invoke(place, "--json")
    printed = json.loads(result.stdout)
    assert printed["schema_version"] == 1
    assert printed["clips"]["test"] == 15
    assert printed["clips"]["train"] + printed["clips"]["val"] == 45
    assert printed["result"]["n"] == 15
    low, high = printed["result"]["ci"]
    assert low <= printed["result"]["weighted_f1"] <= high
    assert "held-out speakers" in result.stderr
    assert "5 speakers are in both train and test" in result.stderr


def test_the_command_prints_a_table_with_the_controls(place):
    result = invoke(place, "--controls", "--head", "concat")
    systems = [line.split("|")[1].strip() for line in result.stdout.splitlines()[2:]]
    assert systems == ["concat (test)", "face alone", "voice alone", "features shuffled", "majority class"]


def test_the_written_head_answers_from_the_cache(place):
    invoke(place, "--array", "voice=frames:mean+std")
    head = TrainedHead.load(place / "run")
    cache = open_cache(place / "features.zarr")
    arrays = {name: source.array for name, source in head.sources.items()}
    assert arrays == {"face": "utterance", "voice": "frames:mean+std"}
    batch = load_features({name: cache[name] for name in arrays}, ["clip000", "clip001"], arrays)
    assert batch.masks["face"].tolist() == [True, False]
    predicted = json.loads((place / "run/scores.json").read_text())["predicted"]
    assert head.predict(batch)[0] == predicted["clip000"]
    assert torch.isfinite(head.probabilities(batch)).all()


def test_values_come_out_of_the_cache_as_they_went_in(place, kit):
    cache = open_cache(place / "features.zarr")
    memory = kit.spaces([replace(clip, split="train") for clip in kit.clips(60, speakers=10)])
    ids = ["clip007", "clip000", "clip031"]
    arrays = {"voice": "frames:mean+apex", "face": "utterance"}
    stored = load_features({name: cache[name] for name in arrays}, ids, arrays)
    expected = load_features({name: memory[name] for name in arrays}, ids, arrays)
    for name in arrays:
        assert np.allclose(stored.values[name], expected.values[name], atol=2e-3)  # stored as float16


def test_two_recipes_of_one_encoder_must_be_told_apart(place, kit):
    cache = open_cache(place / "features.zarr", "a")
    other = kit.spec("face", 6, preset="other", recipe={"layer": -2})
    cache.create(other)
    with pytest.raises(AmbiguousSpace):
        invoke(place)


def test_an_array_without_a_name_is_refused(place):
    with pytest.raises(ConfigError, match=r"--array mean: not NAME=ARRAY"):
        invoke(place, "--array", "mean")


def test_labels_are_those_named_or_those_that_fit(kit):
    clips = kit.clips(20)
    assert label_set("dfew", clips) == DFEW
    assert label_set("happy, sad", clips) == ("happy", "sad")
    assert label_set("", clips) == MER2023
    assert label_set("", [replace(clips[0], label="bored"), replace(clips[1], label="awe")]) == (
        "awe",
        "bored",
    )


def test_features_of_damaged_media_are_left_out_unless_they_are_accepted(place):
    cache = open_cache(place / "features.zarr", "a")
    for name in ("face", "voice"):
        space = cache[name]
        arrays = {array: np.asarray(space.read("clip002", array)) for array in space.spec.arrays}
        with space.writer("none") as sink:
            sink.put(Record(clip_id="clip002", arrays=arrays, status="degraded:truncated"))
    assert json.loads(invoke(place, "--json").stdout)["featureless"] == 1
    assert json.loads(invoke(place, "--json", "--accept", "degraded").stdout)["featureless"] == 0
