"""The files in examples/ do what they say, on a small study."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import emo
from emo.cli.main import emo as command
from emo.extractors.registry import ENCODERS
from emo.testing import EncoderTests

EXAMPLES = Path(__file__).parent.parent / "examples"
TRIED = {"add_an_encoder", "own_head", "plain_pytorch", "read_without_emo"}


def example(name):
    where = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    return module


class TestTheEncoderOfTheExample(EncoderTests):
    @pytest.fixture
    def encoder(self):
        return example("add_an_encoder").Loudness()


def test_every_example_is_run_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == TRIED


def test_an_encoder_of_another_package_extracts_like_any(study, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setitem(ENCODERS, "loudness", "add_an_encoder:Loudness")  # as an entry point does
    words = ["extract", study / "clips.csv", "--encoder", "loudness", "--cache", tmp_path / "f.zarr"]
    done = CliRunner().invoke(command, [*map(str, words), "--jobs", "1"])
    assert done.exit_code == 0, done.output
    feature = emo.open(tmp_path / "f.zarr")["loudness"]["clip1"]
    assert feature.values.shape[1] == 2
    assert len(feature.times) == len(feature.values)


def test_a_head_of_ones_own_trains(study, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    where = ["--manifest", study / "clips.csv", "--cache", study / "features.zarr", "--out", tmp_path / "run"]
    words = ["train-head", *where, "--head", "own_head:GatedSum", "--set", "width=8", "--epochs", "1"]
    words += ["--features", "hubert"]
    done = CliRunner().invoke(command, ["-q", *map(str, words)])
    assert done.exit_code == 0, done.output


def test_features_train_a_model_in_plain_pytorch(study):
    model, right = example("plain_pytorch").train(study / "features.zarr", study / "clips.csv")
    assert 0 <= right <= 1
    assert model[0].in_features == 96


def test_the_cache_is_read_without_emo(study):
    ran = subprocess.run(
        [sys.executable, EXAMPLES / "read_without_emo.py", study / "features.zarr", "hubert", "clip1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "(18, 96) float16, from 0.02 to 0.36 s\n"
    assert "import emo" not in (EXAMPLES / "read_without_emo.py").read_text()
    reader = example("read_without_emo")
    space, feature = reader.space_of(study / "features.zarr", "hubert"), emo.open(study / "features.zarr")
    for clip_id, expected in feature["hubert"].items():
        values, times = reader.read(space, clip_id)
        np.testing.assert_array_equal(values, expected.values)
        np.testing.assert_allclose(times, expected.times)
        np.testing.assert_array_equal(
            reader.read(space, clip_id, "utterance")[0], expected.arrays["utterance"]
        )
    with pytest.raises(KeyError):
        reader.read(space, "nobody")
