"""`emo cache import` and `export`: every format by its command, out and in again."""

import json
import pickle

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from emo.cache import open_cache
from emo.cli.cache import cache as command


@pytest.fixture
def run(path):
    def run(*arguments, cache=path, code=0):
        done = CliRunner().invoke(command, [*map(str, arguments), "--cache", str(cache), "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.output) if code != 2 else done.output

    return run


def test_exports_come_back_by_their_commands(run, space, make_records, fill, tmp_path):
    fill(space, make_records(3))
    for kind in ("npy", "safetensors"):
        out = tmp_path / kind
        assert run("export", kind, out, "--space", "hubert")["records"] == 3
        assert "exists" in run("export", kind, out, code=2)
        assert run("import", "exported", out, cache=tmp_path / f"{kind}.zarr")["stored"] == 3
    assert run("export", "zarr", tmp_path / "plain.zarr")["records"] == 3


def test_the_formats_of_others_come_in_by_their_commands(run, path, tmp_path):
    vector, frames = np.ones(3, np.float32), np.ones((2, 3), np.float32)
    (tmp_path / "HL-UTT").mkdir()
    np.save(tmp_path / "HL-UTT/a.npy", vector)
    assert run("import", "emotion-llama", tmp_path)["stored"] == 1
    assert run("import", "npy", tmp_path / "HL-UTT", "--name", "x", "--kind", "utterance")["stored"] == 1
    save_file({"a": frames}, tmp_path / "t.safetensors")
    assert run("import", "safetensors", tmp_path / "t.safetensors", "--name", "y", "--kind", "frames")[
        "stored"
    ]
    with h5py.File(tmp_path / "s.csd", "w") as file:
        file["covarep/data/v/features"], file["covarep/data/v/intervals"] = frames, np.ones((2, 2))
    assert run("import", "csd", tmp_path / "s.csd")["stored"] == 1
    data = {"train": {"id": ["a"], "audio": frames[None], "regression_labels": np.array([0.5])}}
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(data))
    labels = tmp_path / "labels.jsonl"
    assert run("import", "mmsa", tmp_path / "m.pkl", "--name", "mosi", "--labels", labels)["stored"] == 1
    out = tmp_path / "out.pkl"
    assert run("export", "mmsa", out, "--labels", labels, "--audio", "mosi-audio")["records"] == 1
    np.testing.assert_array_equal(pickle.loads(out.read_bytes())["train"]["audio"], frames[None])
    assert "name a space" in run("export", "mmsa", tmp_path / "no.pkl", "--labels", labels, code=2)
    encoders = {one.spec.encoder for one in open_cache(path).spaces()}
    assert encoders == {"hubert", "x", "y", "covarep", "mosi-audio"}
