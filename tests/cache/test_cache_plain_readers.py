"""What is on disk is Zarr v3 that programs without emo can walk, and dense shards of known layout."""

import json
import warnings

import numpy as np
import pytest
import xarray
import zarr

from emo.cache import open_cache
from emo.cache.geometry import Geometry
from emo.errors import DamagedCache
from emo.records import Record

SHARD_BYTES = 800  # of the space in conftest.py


@pytest.fixture
def filled(space, make_records, fill):
    records = make_records(20)
    fill(space, records)
    return records


def test_plain_zarr_walks_the_tree_and_reads_every_record(path, filled, plain_records):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = plain_records(path)
    expected = {
        ("hubert", record.clip_id, name): values
        for record in filled
        for name, values in record.arrays.items()
    }
    assert set(found) == set(expected)
    for (encoder, clip_id, name), rows in found.items():
        values = expected[encoder, clip_id, name]
        values = values if name == "frames" else values[None]
        np.testing.assert_array_equal(rows, values.astype(rows.dtype))


def test_xarray_opens_every_space_with_named_dimensions(path, filled, make_spec, fill, make_records):
    cache = open_cache(path, "a")
    fill(cache.create(make_spec("mae")), make_records(3))
    for space in cache.spaces():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dataset = xarray.open_zarr(path / space.name).load()
        assert dataset["frames"].dims == ("frames_row", "frames_channel")
        assert dataset["tokens"].dims == ("tokens_slot", "tokens_token", "tokens_channel")
        assert dataset["utterance"].dims == ("utterance_row", "utterance_channel")
        assert dataset["input_sha256"].dims == ("clip", "digest_byte")
        columns = {name for name in dataset.variables if dataset[name].dims == ("clip",)}
        assert columns == {"clip_id", "status", "reason", "meta"} | {
            f"{array}_{what}" for array in space.spec.arrays for what in ("start", "rows", "crc32c")
        }


def test_every_zarr_json_opens_on_its_own_and_says_the_same_as_the_snapshot(path, space, filled):
    inside = zarr.open_group(path / space.name, mode="r")
    alone = zarr.open_group(path / space.name, mode="r", use_consolidated=False)
    names = sorted(name for name, _ in inside.arrays())
    assert names == sorted(name for name, _ in alone.arrays())
    for name in names:
        assert inside[name].shape == alone[name].shape
        assert inside[name].metadata.codecs == alone[name].metadata.codecs


def test_status_and_reason_of_clips_without_features_are_columns(path, space, filled):
    group = zarr.open_group(path / space.name, mode="r")
    row = group["clip_id"][:].tolist().index("clip/006 é")
    assert group["status"][row] == "missing:no_face"
    assert group["reason"][row] == "0 of 16 frames"
    assert group["frames_rows"][row] == 0


def test_the_whole_spec_stands_in_the_attributes(path, space, filled, make_spec):
    attributes = zarr.open_group(path / space.name, mode="r").attrs
    assert attributes["emo:spec"] == make_spec().to_json()
    assert attributes["emo:fingerprint"] == make_spec().fingerprint
    assert zarr.open_group(path, mode="r").attrs["emo:format"] == 1
    assert zarr.open_group(path, mode="r").attrs["spaces"] == [space.name]


def test_a_shard_is_the_file_that_zarr_itself_would_write(tmp_path, path, space, filled):
    geometry = space.geometry("frames")
    ours = (path / space.name / "frames" / "c" / "0" / "0").read_bytes()
    rows = np.frombuffer(ours[: geometry.data_bytes], geometry.dtype).reshape(-1, *geometry.row_shape)
    theirs = zarr.create_array(
        tmp_path / "theirs.zarr",
        shape=rows.shape,
        dtype="float16",
        chunks=(geometry.chunk_rows, *geometry.row_shape),
        shards=(geometry.shard_rows, *geometry.row_shape),
        compressors=None,
        filters=None,
        config={"write_empty_chunks": True},
    )
    theirs[:] = rows
    assert (tmp_path / "theirs.zarr" / "c" / "0" / "0").read_bytes() == ours


def test_shards_are_near_128_mib_and_chunks_64_rows_by_default(path, make_spec):
    space = open_cache(path, "a").create(make_spec())
    document = json.loads((path / space.name / "frames" / "zarr.json").read_text())
    shard_rows, dim = document["chunk_grid"]["configuration"]["chunk_shape"]
    assert shard_rows * dim * 2 == pytest.approx(1 << 27, rel=1e-4)
    assert document["codecs"][0]["configuration"]["chunk_shape"] == [64, 6]
    assert space.geometry("tokens").chunk_rows == 1


def test_a_shard_that_zarr_rewrote_is_read_through_zarr(path, make_spec, make_records, fill, assert_holds):
    space = open_cache(path, "a").create(make_spec(), shard_bytes=4_000)
    records = make_records(4)
    fill(space, records)
    array = zarr.open_array(path / space.name / "frames", mode="a")
    shard, rows = path / space.name / "frames/c/0/0", array[:]
    shard.unlink()
    array[:] = rows  # zarr writes the chunks that have rows and no others
    assert shard.stat().st_size < space.geometry("frames").file_bytes
    assert_holds(open_cache(path)["hubert"], records)


def test_a_shard_with_a_hole_is_read_through_zarr_has_no_view_and_is_not_written_again(path, make_spec, fill):
    space = open_cache(path, "a").create(make_spec(), shard_bytes=4_000)
    values = np.random.default_rng(0).normal(size=(70, 6)).astype(np.float16)
    records = [
        Record(clip_id=name, arrays={"frames": values[:rows]}) for name, rows in (("a", 64), ("b", 70))
    ]
    fill(space, records)
    array = zarr.open_array(path / space.name / "frames", mode="a")
    shard, rows = path / space.name / "frames/c/0/0", array[:]
    shard.unlink()
    array[64:] = rows[64:]  # the first chunk, of clip a, is not there
    size, again = shard.stat().st_size, open_cache(path, "a")["hubert"]
    np.testing.assert_array_equal(again.read("b", "frames"), values)
    np.testing.assert_array_equal(again.view("b", "frames"), values)
    with pytest.raises(DamagedCache):
        again.read("a", "frames")
    fill(again, [Record(clip_id="c", arrays={"frames": values[:1]})])
    assert shard.stat().st_size == size
    assert (path / space.name / "frames/c/1/0").exists()


def test_geometry_survives_its_own_metadata(space):
    for name, layout in space.spec.arrays.items():
        assert Geometry.of_metadata(space.state.members[name]) == Geometry.of_layout(layout, SHARD_BYTES)


def test_bfloat16_is_stored_as_uint16_and_read_as_float32(path, make_spec, fill):
    from emo.spec import ArrayLayout

    spec = make_spec(arrays={"frames": ArrayLayout(kind="frames", dim=4, dtype="bfloat16")})
    space = open_cache(path, "a").create(spec)
    values = np.array([[1.0, -2.5, 3.14159, 1e30]], np.float32)
    fill(space, [Record(clip_id="a", arrays={"frames": values})])
    stored = zarr.open_array(path / space.name / "frames", mode="r")
    assert stored.dtype == np.uint16
    assert stored.attrs["emo:dtype"] == "bfloat16"
    read = open_cache(path)["hubert"].read("a", "frames")
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, values, rtol=2**-8)
    assert read[0, 0] == 1.0
    assert read[0, 1] == -2.5
