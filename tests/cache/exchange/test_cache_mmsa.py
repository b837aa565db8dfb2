"""MMSA pickles in and out; a hostile pickle runs nothing."""

import io
import json
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.cache import open_cache
from emo.cache.exchange.mmsa import MODALITIES, export_mmsa, import_mmsa, unpack
from emo.errors import ConfigError

DIMS = {"text": 4, "audio": 3, "vision": 2}
CLIPS = {"train": 3, "valid": 1, "test": 2}


def held(seed=0, length=5):
    """What an MMSA pickle holds: padded behind, with rows of zeros between."""
    rng = np.random.default_rng(seed)
    found = {}
    for split, count in CLIPS.items():
        part = {
            "id": [f"{split}$_${number}" for number in range(count)],
            "raw_text": [f"words {number}" for number in range(count)],
            "regression_labels": rng.normal(size=count),
            "classification_labels": rng.integers(0, 3, count),
        }
        for modality, dim in DIMS.items():
            values = rng.normal(size=(count, length, dim)).astype(np.float32)
            for clip in values:
                clip[rng.integers(1, length + 1) :] = 0
                clip[1 : int(rng.integers(1, 3))] = 0
            part[modality] = values
        found[split] = part
    return found


@pytest.fixture
def write(tmp_path):
    def make(data, protocol=4):
        file = tmp_path / "data.pkl"
        file.write_bytes(data if isinstance(data, bytes) else pickle.dumps(data, protocol=protocol))
        return file

    return make


@pytest.fixture
def target(path):
    return open_cache(path, "a")


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_every_protocol_gives_the_same_clips(write, target, protocol, tmp_path):
    data = held()
    data["train"]["audio"][0, 0, 0] = -np.inf
    list(import_mmsa(target, write(data, protocol), "mosi", labels=tmp_path / "labels.jsonl"))
    for modality in MODALITIES:
        space = target[f"mosi-{modality}"]
        assert len(space) == sum(CLIPS.values())
        for number, clip_id in enumerate(data["train"]["id"]):
            rows = np.where(np.isneginf(data["train"][modality][number]), 0, data["train"][modality][number])
            np.testing.assert_array_equal(space.read(clip_id, "frames"), rows[rows.any(axis=1)])
            assert space.meta(clip_id)["frames"]["length"] == len(rows)
    lines = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [line["clip_id"] for line in lines] == [one for part in data.values() for one in part["id"]]
    assert lines[0]["regression_labels"] == data["train"]["regression_labels"][0]
    assert lines[-1]["split"] == "test"


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(2, 9))
def test_what_goes_out_comes_back(seed, length):
    data = held(seed, length)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.pkl").write_bytes(pickle.dumps(data))
        cache = open_cache(folder / "a.zarr", "a")
        list(import_mmsa(cache, folder / "in.pkl", "x", labels=folder / "labels.jsonl"))
        spaces = {modality: cache[f"x-{modality}"] for modality in MODALITIES}
        list(export_mmsa(spaces, folder / "out.pkl", folder / "labels.jsonl"))
        back = pickle.loads((folder / "out.pkl").read_bytes())
    for split, part in data.items():
        for key, values in part.items():
            np.testing.assert_array_equal(back[split][key], values)
        assert back[split]["audio_lengths"] == [
            int(np.flatnonzero(clip.any(axis=1))[-1]) + 1 for clip in part["audio"]
        ]


class Call:
    """A pickle that calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(canary):
    import os
    import shutil
    import subprocess
    from importlib import import_module

    name = str(canary)
    code = f"open({name!r}, 'w')"
    text = name.encode()
    array = np.ones((2, 3, 4), np.float32)
    calls = {
        "os.system": Call(os.system, f"touch {name}"),
        "subprocess": Call(subprocess.check_call, ["touch", name]),
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "open": Call(open, name, "w"),
        "getattr": Call(getattr, Call(import_module, "os"), "mkdir"),
        "numpy's own save": Call(np.save, name, array),
        "numpy's memmap": Call(np.memmap, name, "u1", "w+", 0, (9,)),
        "copy": Call(shutil.copy, "/etc/hostname", name),
    }
    found = {key: pickle.dumps(held() | {"train": value}) for key, value in calls.items()}
    inside = held()
    inside["train"]["raw_text"] = [Call(open, name, "w")]
    found["among the labels"] = pickle.dumps(inside)
    objects = held()
    objects["train"]["id"] = np.array([Call(open, name, "w")] * 3, object)
    found["in an object array"] = pickle.dumps(objects)
    found["GLOBAL"] = b"cos\nsystem\n(S'touch " + text + b"'\ntR."
    found["INST"] = b"(S'touch " + text + b"'\nios\nsystem\n."
    found["OBJ"] = b"(cos\nsystem\nS'touch " + text + b"'\no."
    found["dotted name"] = b"\x80\x04\x8c\x05numpy\x8c\x0ef2py.os.system\x93\x8c\x05touch\x85R."
    found["builtin of Python 2"] = b"c__builtin__\neval\n(S'" + code.replace("'", '"').encode() + b"'\ntR."
    found["extension code"] = b"\x80\x02\x82\x01."
    found["persistent id"] = b"Pwhatever\n."
    found["a codec"] = b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR."
    return found


def lying(shape):
    """A pickled array that claims a shape."""
    data = pickle.dumps(held(), protocol=2)
    whole = b"K\x03K\x05K\x04\x87"
    assert whole in data
    return data.replace(whole, pickle.dumps(shape, protocol=2)[2:-3], 1)


@pytest.mark.parametrize("kind", list(hostile(Path("unused"))))
def test_a_hostile_pickle_runs_nothing(write, tmp_path, kind):
    canary = tmp_path / "canary"
    file = write(hostile(canary)[kind])
    with pytest.raises(ConfigError):
        unpack(str(file), str(tmp_path))
    assert not canary.exists()


@pytest.mark.parametrize("kind", ["os.system", "in an object array", "INST"])
def test_the_import_refuses_it_and_stores_nothing(write, tmp_path, target, kind):
    canary = tmp_path / "canary"
    with pytest.raises(ConfigError):
        list(import_mmsa(target, write(hostile(canary)[kind]), "mosi"))
    assert not canary.exists()
    assert target.spaces() == []


def test_the_canary_would_be_seen(write, tmp_path):
    canary = tmp_path / "canary"
    pickle.loads(hostile(canary)["open"])
    assert canary.exists()


@pytest.mark.parametrize(
    "data",
    [
        lying((10**12, 5, 4)),
        lying((-3, 5, 4)),
        b"",
        b"no pickle",
        b"\x80\x05\x8d" + (1 << 40).to_bytes(8, "little"),
        b"\x80\x04\x95" + (1 << 62).to_bytes(8, "little"),
        pickle.dumps({"train": {"id": ["a"], "audio": [[1.0]]}}),
        pickle.dumps({"train": {"id": ["a"], "audio": np.ones((2, 3, 4))}}),
        pickle.dumps({"train": {"id": ["a"], "audio": np.ones((1, 3, 4), int)}}),
        pickle.dumps([1, 2]),
        pickle.dumps(held())[:-200],
    ],
)
def test_what_is_no_such_pickle_is_refused(write, target, data):
    with pytest.raises(ConfigError):
        list(import_mmsa(target, write(data), "mosi"))
    assert target.spaces() == []


def test_exported_pickles_hold_numpy_and_plain_lists_only(write, target, tmp_path):
    list(import_mmsa(target, write(held()), "x", labels=tmp_path / "labels.jsonl"))
    spaces = {modality: target[f"x-{modality}"] for modality in MODALITIES}
    list(export_mmsa(spaces, tmp_path / "out.pkl", tmp_path / "labels.jsonl"))
    named = set()

    class Names(pickle.Unpickler):
        def find_class(self, module, name):
            named.add(module.split(".")[0])
            return super().find_class(module, name)

    Names(io.BytesIO((tmp_path / "out.pkl").read_bytes())).load()
    assert named <= {"numpy", "_codecs"}
