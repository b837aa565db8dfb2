"""Whatever is exported comes back the same: ids of any script, every dtype, every status."""

import json
import struct
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open

from emo.cache import open_cache
from emo.cache.exchange.exported import export_npy, export_safetensors, restore
from emo.cache.exchange.hdf5 import export_h5, import_h5
from emo.cache.exchange.names import file_names
from emo.cache.exchange.outgoing import chosen_spaces
from emo.cache.exchange.safetensors_files import open_safetensors
from emo.cache.exchange.tensors import import_safetensors
from emo.cache.forget import forget
from emo.errors import ConfigError
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

IDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=300)
SHARD_BYTES = 1 << 12
DTYPES = st.sampled_from(["float16", "float32", "float64", "bfloat16"])


@st.composite
def stores(draw):
    """A spec and records that fit it."""
    dims = {"frames": 3, "tokens": 2, "utterance": 4}
    kinds = draw(st.lists(st.sampled_from(sorted(dims)), min_size=1, unique=True))
    layouts = {
        kind: ArrayLayout(kind=kind, dim=dims[kind], tokens=2 if kind == "tokens" else 1, dtype=draw(DTYPES))
        for kind in kinds
    }
    spec = FeatureSpec(encoder="e", weights={"w": "00"}, recipe={}, recipe_version=1, arrays=layouts)
    records = []
    for clip_id in draw(st.lists(IDS, min_size=1, max_size=5, unique=True)):
        arrays = {}
        for kind in kinds:
            rows = {"frames": (draw(st.integers(1, 4)),), "tokens": (2,), "utterance": ()}[kind]
            arrays[kind] = draw(
                hnp.arrays(np.float32, (*rows, dims[kind]), elements=st.floats(0.5, 8, width=16))
            )
        digest = draw(st.binary(min_size=32, max_size=32))
        if draw(st.booleans()):
            records.append(Record(clip_id=clip_id, arrays=arrays, input_sha256=digest, meta={"n": [1, None]}))
        else:
            records.append(Record(clip_id=clip_id, status="missing:x", reason="why", input_sha256=digest))
    return spec, records


def contents(space):
    found = {}
    for clip_id, info in space.infos().items():
        arrays = {array: (space.read(clip_id, array).tolist(), info.rows[array]) for array in info.arrays}
        found[clip_id] = (info.status, info.reason, info.input_sha256, space.meta(clip_id), arrays)
    return found


def through(kind, source, target, folder):
    if kind == "h5":
        list(export_h5(source, folder / "out"))
        list(import_h5(target, folder / "out"))
        return
    export = export_npy if kind == "npy" else export_safetensors
    list(export(chosen_spaces(source), folder / "out"))
    list(restore(target, folder / "out"))


@pytest.mark.parametrize("kind", ["npy", "safetensors", "h5"])
@settings(max_examples=10, deadline=None)
@given(store=stores())
def test_what_goes_out_comes_back(kind, store):
    spec, records = store
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = open_cache(folder / "a.zarr", "a"), open_cache(folder / "b.zarr", "a")
        target.create(spec, shard_bytes=SHARD_BYTES)
        with source.create(spec, shard_bytes=SHARD_BYTES).writer("none") as writer:
            for record in records:
                writer.put(record)
        through(kind, source, target, folder)
        assert target[spec].spec == spec
        assert contents(target[spec]) == contents(source[spec])


@given(st.lists(IDS, unique=True, max_size=20))
def test_file_names_are_safe_and_apart_even_without_case(ids):
    names = file_names(ids)
    assert len({name.casefold() for name in names.values()}) == len(names) == len(ids)
    for name in names.values():
        assert "/" not in name
        assert not name.startswith(".")
        assert len(name.encode()) <= 250


@pytest.fixture
def filled(space, make_records, fill):
    fill(space, make_records(9))
    return space


@pytest.fixture
def target(tmp_path):
    return open_cache(tmp_path / "in.zarr", "a")


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_a_second_import_stores_nothing_and_forgotten_clips_stay_so(filled, path, tmp_path, target, kind):
    through(kind, open_cache(path), target, tmp_path)
    assert not any(one.stored for one in restore(target, tmp_path / "out"))
    gone = "clip/000 é"
    forget(target, [gone])
    assert not any(one.stored for one in restore(target, tmp_path / "out"))
    assert gone not in target["hubert"]


def test_numpy_alone_reads_the_mertools_layout(filled, path, tmp_path):
    list(export_npy(chosen_spaces(open_cache(path), ["hubert"]), tmp_path / "out"))
    clip = next(iter(filled))
    values = np.load(tmp_path / "out/hubert-UTT" / f"{file_names([clip])[clip]}.npy")
    np.testing.assert_array_equal(values, filled.read(clip, "utterance"))
    assert {one.name for one in (tmp_path / "out").iterdir() if one.is_dir()} == {
        "hubert-UTT",
        "hubert.frames-FRA",
        "hubert.tokens-FRA",
    }


def test_safetensors_of_others_read_ours(filled, path, tmp_path):
    list(export_safetensors(chosen_spaces(open_cache(path)), tmp_path / "out"))
    (file,) = (tmp_path / "out").glob("*.safetensors")
    clip = next(iter(filled))
    with safe_open(file, framework="numpy") as opened:
        np.testing.assert_array_equal(opened.get_tensor(f"frames/{clip}"), filled.read(clip, "frames"))


def test_tensors_of_others_become_clips(tmp_path, target):
    from safetensors.numpy import save_file

    values = {"a": np.ones(4, np.float32), "b/c": np.full(4, 2, np.float32)}
    save_file(values, tmp_path / "x.safetensors")
    list(import_safetensors(target, tmp_path / "x.safetensors", "clip", "utterance"))
    assert set(target["clip"]) == {"a", "b/c"}
    np.testing.assert_array_equal(target["clip"].read("b/c", "utterance"), values["b/c"])


def changed(root):
    file = next(root.glob("hubert-UTT/*.npy"))
    np.save(file, np.load(file) + 1)


def removed(root):
    next(root.glob("hubert-UTT/*.npy")).unlink()


def outside(root):
    edit(root, lambda place: place | {"file": "../secret.npy"})


def absolute(root):
    edit(root, lambda place: place | {"file": "/etc/hostname"})


def linked_folder(root):
    (root / "hubert-UTT").rename(root.parent / "moved")
    (root / "hubert-UTT").symlink_to(root.parent / "moved")


def other_spec(root):
    (notes,) = root.glob("*.jsonl")
    _, _, rest = notes.read_text().partition("\n")
    notes.write_text(json.dumps({"emo:export": 1, "spec": {}}) + "\n" + rest)


def edit(root, change):
    (notes,) = root.glob("*.jsonl")
    head, *lines = map(json.loads, notes.read_text().splitlines())
    lines[0]["arrays"]["utterance"] = change(lines[0]["arrays"]["utterance"])
    notes.write_text("\n".join(map(json.dumps, [head, *lines])))


@pytest.mark.parametrize("change", [changed, removed, outside, absolute, linked_folder, other_spec])
def test_an_export_that_was_changed_is_refused(filled, path, tmp_path, target, change):
    list(export_npy(chosen_spaces(open_cache(path)), tmp_path / "out"))
    change(tmp_path / "out")
    with pytest.raises(ConfigError):
        list(restore(target, tmp_path / "out"))


def test_a_folder_that_is_there_is_not_touched(filled, path, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        list(export_npy(chosen_spaces(open_cache(path)), tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []


def tensors_file(header, body=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(shape, offsets, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    "data",
    [
        tensors_file({}, length=100_000_000),
        tensors_file(b"{" + b" " * 30_000_000 + b"}"),
        tensors_file({"a": entry([10**12], [0, 20])}, bytes(20)),
        tensors_file({"a": entry([5], [0, 20])}, bytes(19)),
        tensors_file({"a": entry([5], [0, 20])}, bytes(21)),
        tensors_file({"a": entry([5], [4, 24])}, bytes(24)),
        tensors_file({"a": entry([5], [0, 20]), "b": entry([5], [0, 20])}, bytes(20)),
        tensors_file({name: entry([5], [0, 20], "I32") for name in "ab"}, bytes(20)),
        tensors_file({"a": entry([5], [20, 0])}, bytes(20)),
        tensors_file({"a": entry([-5], [0, 20])}, bytes(20)),
        tensors_file(b'{"a": 1, "a": 2}'),
        tensors_file({"a": {"dtype": "F32"}}),
        tensors_file([1]),
        tensors_file(b"[" * 100_000),
        b"",
    ],
)
def test_a_hostile_safetensors_header_is_refused(tmp_path, data):
    (tmp_path / "x.safetensors").write_bytes(data)
    tracemalloc.start()
    with pytest.raises(ConfigError):
        open_safetensors(tmp_path / "x.safetensors")
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()
