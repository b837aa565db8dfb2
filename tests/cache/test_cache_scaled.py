"""Values stored as int8 with a scale a row: what comes back, what a plain reader sees, what is refused."""

import numpy as np
import pytest
import zarr

from emo.cache import open_cache
from emo.cache.exchange.exported import export_npy, export_safetensors
from emo.cache.exchange.hdf5 import export_h5, import_h5
from emo.cache.exchange.plain_zarr import export_zarr
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

SPEC = FeatureSpec(
    encoder="eva",
    weights={"model": "00" * 32},
    recipe={},
    recipe_version=1,
    arrays={"tokens": ArrayLayout(kind="tokens", dim=12, tokens=5, dtype="int8")},
    preset="tiny+int8",
)


def values(seed, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal((5, 12))).astype(np.float32)


@pytest.fixture
def store(tmp_path):
    cache = open_cache(tmp_path / "c.zarr", mode="a")
    with cache.create(SPEC).writer("none") as sink:
        for clip_id, scale in (("quiet", 1e-4), ("plain", 1.0), ("loud", 1e6)):
            assert sink.put(Record(clip_id=clip_id, arrays={"tokens": values(3, scale)})).status == "ok"
    return open_cache(tmp_path / "c.zarr", mode="a")


@pytest.mark.parametrize(("clip_id", "scale"), [("quiet", 1e-4), ("plain", 1.0), ("loud", 1e6)])
def test_values_come_back_to_half_a_step_of_their_own_row(store, clip_id, scale):
    found, expected = store["eva@int8"][clip_id].values, values(3, scale)
    assert found.dtype == np.float32
    step = np.abs(expected).max(axis=1, keepdims=True) / 127
    assert (np.abs(found - expected) <= 0.5001 * step).all()
    np.testing.assert_array_equal(store["eva"].stack([clip_id], "tokens")[0], found)


def test_a_plain_reader_multiplies_by_the_last_four_bytes(store):
    space = store["eva"]
    array = zarr.open(store.path / space.name / "tokens", mode="r")
    row = array[1]
    by_hand = row[:, :-4] * np.ascontiguousarray(row[:, -4:]).view("<f4")
    assert "last four bytes" in array.attrs["emo:dtype"]
    np.testing.assert_array_equal(by_hand, space["plain"].values)


@pytest.mark.parametrize(
    ("value", "status"),
    [(np.nan, "nonfinite"), (np.inf, "nonfinite"), (-np.inf, "nonfinite"), (0, "zero_rows")],
)
def test_what_is_no_feature_is_a_status(store, value, status):
    broken = values(0)
    broken[2, 3 if value else slice(None)] = value
    with store["eva"].writer("none") as sink:
        assert sink.put(Record(clip_id="broken", arrays={"tokens": broken})).status == f"failed:{status}"


def test_every_export_holds_the_decoded_values(store, tmp_path):
    spaces = store.spaces()
    for export, target in ((export_npy, "n"), (export_safetensors, "s"), (export_zarr, "z")):
        list(export(spaces, tmp_path / target))
    (file,) = (tmp_path / "n").rglob("plain.npy")
    np.testing.assert_array_equal(np.load(file), store["eva"]["plain"].values)


def test_hdf5_brings_them_back(store, tmp_path):
    list(export_h5(store, tmp_path / "x.h5"))
    again = open_cache(tmp_path / "again.zarr", mode="a")
    list(import_h5(again, tmp_path / "x.h5"))
    for clip_id in ("quiet", "plain", "loud"):
        expected = store["eva"][clip_id].values
        np.testing.assert_allclose(again["eva@int8"][clip_id].values, expected, rtol=1e-6)
