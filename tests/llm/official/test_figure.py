"""The last steps of the road: a converted checkpoint, features of an unnamed recipe, expected beside got."""

import json

import pytest
import torch
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.evaluate import evaluate
from emo.cli.predict import predict
from emo.clip import Clip
from emo.corpora import write_manifest
from emo.pipeline.released import convert_released
from emo.records import Record


@pytest.fixture
def place(state, base_folder, texts, batch, tmp_path):
    """A converted checkpoint, a manifest of twelve clips and a cache with their features."""
    torch.save({"model": state, "epoch": 29}, tmp_path / "best.pth")
    convert_released("emotion-llama", tmp_path / "best.pth", tmp_path / "run", base=str(base_folder))
    clips = []
    for text in texts[:12]:
        path = tmp_path / f"{text.clip_id}.mp4"
        path.touch()
        clips.append(Clip(clip_id=text.clip_id, path=path, text=text.text, label=text.label))
    write_manifest(tmp_path / "manifest.jsonl", clips)
    cache = open_cache(tmp_path / "features.zarr", "a")
    for name, source in batch.sources.items():
        with cache.create(source.spec).writer("none") as sink:
            for row, clip in enumerate(clips):
                values = batch.values[name][row].numpy().astype("float16")
                sink.put(Record(clip_id=clip.clip_id, arrays={source.array: values}))
    return tmp_path


def run(command, place, *arguments):
    fixed = ("--model", str(place / "run"), "--cache", str(place / "features.zarr"))
    return CliRunner().invoke(command, [*arguments, *fixed], catch_exceptions=False)


def test_the_figure_is_asked_with_features_of_any_recipe_and_says_so(place):
    result = run(evaluate, place, "--recipe", "mer2023-semi", "--manifest", str(place / "manifest.jsonl"))
    assert "expected 0.9036" in result.stdout and "got 0." in result.stdout
    assert "does not say which features it was trained on" in result.stderr
    for name in ("hubert", "mae", "videomae", "eva"):
        assert f"{name}/" in result.stderr


def test_clips_are_answered_with_features_of_any_recipe(place):
    result = run(predict, place, str(place / "manifest.jsonl"), "--no-reasons", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 12
    assert all(set(row["features"]) == {"hubert", "mae", "videomae", "eva"} for row in rows)
    assert "does not say which features it was trained on" in result.stderr
