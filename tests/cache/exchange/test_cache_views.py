"""What other research code gets: plain Zarr, Parquet, xarray, a Hugging Face dataset."""

import json
import sys

import numpy as np
import pytest
import zarr

from emo.cache import open_cache
from emo.cache.exchange.hf_view import to_dataset
from emo.cache.exchange.outgoing import chosen_spaces
from emo.cache.exchange.parquet import export_parquet
from emo.cache.exchange.plain_zarr import export_zarr
from emo.cache.exchange.xarray_view import to_xarray
from emo.cache.forget import forget
from emo.errors import CacheMiss, ConfigError, MissingDependency
from emo.records import Record
from emo.spec import ArrayLayout

GONE = "clip/001 é"


@pytest.fixture
def filled(space, path, make_records, fill):
    fill(space, make_records(9))
    forget(open_cache(path, "a"), [GONE])
    return open_cache(path)["hubert"]


def test_the_zarr_export_has_no_gaps_and_zarr_alone_reads_it(filled, tmp_path):
    assert len(list(export_zarr([filled], tmp_path / "out.zarr"))) == 8
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")[filled.name]
    ids = [str(one) for one in group["clip_id"][:]]
    assert GONE not in ids
    for array in ("frames", "tokens", "utterance"):
        offsets = group[f"{array}_offset"][:]
        assert offsets[0] == 0
        assert offsets[-1] == group[array].shape[0]
        for clip_id, start, stop in zip(ids, offsets[:-1], offsets[1:], strict=True):
            if clip_id in filled:
                expected = filled.read(clip_id, array)
                np.testing.assert_array_equal(group[array][start:stop].reshape(expected.shape), expected)
            else:
                assert start == stop
    assert not [file for file in (tmp_path / "out.zarr").rglob("*") if GONE in file.name]


def test_bfloat16_in_zarr_is_uint16_and_says_so(path, make_spec, fill, tmp_path):
    spec = make_spec(arrays={"frames": ArrayLayout(kind="frames", dim=3, dtype="bfloat16")})
    space = open_cache(path, "a").create(spec)
    fill(space, [Record(clip_id="a", arrays={"frames": np.array([[0.1, -3e38, 7.0]])})])
    list(export_zarr([space], tmp_path / "out.zarr"))
    array = zarr.open_group(tmp_path / "out.zarr", mode="r")[space.name]["frames"]
    assert (array.dtype, array.attrs["emo:dtype"]) == (np.uint16, "bfloat16")
    widened = (array[:].astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(widened, space.read("a", "frames"))


def test_xarray_holds_values_clips_and_times(filled):
    pytest.importorskip("xarray")
    pooled = to_xarray(filled, "utterance")
    assert pooled.dims == ("clip", "channel")
    for clip_id in filled:
        np.testing.assert_array_equal(
            pooled[pooled.clip_id.values == clip_id][0], filled.read(clip_id, "utterance")
        )
    ids = list(filled)[2:4]
    frames = to_xarray(filled, "frames", ids)
    for clip_id in ids:
        rows = frames[frames.clip_id.values == clip_id]
        np.testing.assert_array_equal(rows, filled.read(clip_id, "frames"))
        np.testing.assert_array_equal(rows.time, filled[clip_id].times)
    assert to_xarray(filled, "tokens").dims == ("clip", "token", "channel")
    assert frames.attrs["fingerprint"] == filled.spec.fingerprint
    with pytest.raises(ConfigError):
        to_xarray(filled, "pixels")
    with pytest.raises(CacheMiss):
        to_xarray(filled, "utterance", [GONE])


def test_a_hugging_face_dataset_reads_a_row_when_it_is_asked_for(filled):
    pytest.importorskip("datasets", reason="the extra `exchange` is not installed")
    table = to_dataset(filled)
    assert len(table) == len(filled)
    row = table[3]
    np.testing.assert_array_equal(row["frames"], filled.read(row["clip_id"], "frames"))
    some = to_dataset(filled, ["utterance"], list(filled)[:3]).shuffle(seed=0)[:2]
    assert set(some) == {"clip_id", "utterance"}
    for clip_id, values in zip(some["clip_id"], some["utterance"], strict=True):
        np.testing.assert_array_equal(values, filled.read(clip_id, "utterance"))


def test_parquet_holds_every_clip_and_its_values(filled, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra `exchange` is not installed")
    list(export_parquet(chosen_spaces(open_cache(filled.paths.cache.root)), tmp_path / "out"))
    (file,) = (tmp_path / "out").iterdir()
    table = pq.read_table(file)
    assert json.loads(table.schema.metadata[b"emo:spec"])["encoder"] == "hubert"
    rows = {row["clip_id"]: row for row in table.to_pylist()}
    assert GONE not in rows
    for clip_id, row in rows.items():
        info = filled.info(clip_id)
        assert (row["status"], row["input_sha256"]) == (info.status, info.input_sha256)
        for array in ("frames", "tokens", "utterance"):
            if array in info.rows:
                np.testing.assert_array_equal(row[array], filled.read(clip_id, array))
            else:
                assert row[array] is None


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("pyarrow", lambda space, out: list(export_parquet([space], out))),
        ("pyarrow.parquet", lambda space, out: list(export_parquet([space], out))),
        ("xarray", lambda space, out: to_xarray(space, "frames")),
        ("datasets", lambda space, out: to_dataset(space)),
    ],
)
def test_what_is_not_installed_is_named(filled, tmp_path, monkeypatch, package, use):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=r"emo-toolkit\[exchange\]"):
        use(filled, tmp_path / "out")
    assert not (tmp_path / "out").exists()
