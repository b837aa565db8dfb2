"""A whole run: the choice is made without test, controls stand beside the score, files are complete."""

import json
from dataclasses import replace

import pytest

from emo.heads.runs import run_head, write_run
from emo.heads.trained import TrainedHead
from emo.run_clips import runs_with


@pytest.fixture
def clips(kit):
    part = {
        name: kit.clips(count, speakers=speakers)
        for name, count, speakers in (("train", 240, 20), ("test", 80, 8))
    }
    return [
        replace(clip, clip_id=f"{split}-{clip.clip_id}", split=split, speaker=f"{split}-{clip.speaker}")
        for split, members in part.items()
        for clip in members
    ]


@pytest.fixture
def config(kit):
    return replace(kit.config, epochs=14, learning_rate=1e-2)


def test_fusion_beats_each_feature_and_shuffled_features_are_chance(kit, clips, config):
    run = run_head(clips, kit.spaces(clips), kit.labels, config, controls=True)
    fused = run.result.scores.weighted_f1
    assert fused > 0.75
    assert all(one.scores.weighted_f1 < fused - 0.2 for one in run.alone.values())
    assert run.shuffled.scores.weighted_f1 < 0.42
    assert run.result.interval.low < fused < run.result.interval.high
    assert run.result.interval.clusters == 8
    assert [line.system for line in run.results()] == [
        "attention (test)",
        "face alone",
        "voice alone",
        "features shuffled",
        "majority class",
    ]


def test_test_labels_and_test_features_change_nothing_in_the_trained_head(kit, clips, config):
    config = replace(config, epochs=5)
    run = run_head(clips, kit.spaces(clips), kit.labels, config)
    lies = [replace(clip, label="sad") if clip.split == "test" else clip for clip in clips]
    other = run_head(lies, kit.spaces(clips, seed=0), kit.labels, config)
    fewer = run_head([clip for clip in clips if clip.split == "train"], kit.spaces(clips), kit.labels, config)
    assert run.trained.history == other.trained.history == fewer.trained.history
    assert run.predicted == other.predicted
    assert fewer.scored_split == "val"


def test_written_files_tell_the_whole_run(kit, clips, config, tmp_path):
    spaces = kit.spaces(clips)
    run = run_head(clips, spaces, kit.labels, replace(config, epochs=3))
    write_run(run, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "head.safetensors",
        "head.json",
        "metrics.jsonl",
        "scores.json",
        "clips.json",
        "results.md",
        "README.md",
        "confusion.png",
        "loss.png",
    }
    scores = json.loads((tmp_path / "run/scores.json").read_text())
    assert scores["clips"]["test"] == 80 and len(scores["predicted"]) == 80
    assert scores["features"]["face"] == spaces["face"].spec.fingerprint
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == len(run.trained.history)
    assert TrainedHead.load(tmp_path / "run").labels == kit.labels
    trained_on = run.splits.train[0].clip_id
    assert list(runs_with(tmp_path, [trained_on, "nobody"])) == [(tmp_path / "run", [trained_on])]


def test_clips_without_any_feature_are_counted(kit, clips, config):
    spaces = kit.spaces(clips)
    for space in spaces.values():
        space.records[clips[0].clip_id] = replace(
            space.records[clips[0].clip_id], status="missing:no_face", arrays={}
        )
    run = run_head(clips, spaces, kit.labels, replace(config, epochs=2))
    assert run.featureless == 1
