"""A small encoder's spec and its records, and caches filled with them."""

from __future__ import annotations

import numpy as np
import pytest

from emo.cache import open_cache
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

LAYOUTS = {
    "frames": ArrayLayout(kind="frames", dim=6),
    "tokens": ArrayLayout(kind="tokens", dim=4, tokens=3),
    "utterance": ArrayLayout(kind="utterance", dim=6, dtype="float32"),
}
SHARD_BYTES = 800  # a few clips a shard, so that every test crosses shards


@pytest.fixture
def make_spec():
    def make(encoder="hubert", **changes):
        fields = {
            "encoder": encoder,
            "weights": {"model": "ab" * 32},
            "recipe": {"layer": 9},
            "recipe_version": 1,
            "arrays": LAYOUTS,
            "preset": "tiny",
        }
        return FeatureSpec(**{**fields, **changes})

    return make


@pytest.fixture
def make_records():
    """Records of `count` clips; each 7th has no face, all values follow from the seed and the number."""

    def make(count, seed=0, first=0):
        return [record(number, seed) for number in range(first, first + count)]

    return make


def record(number, seed=0):
    rng = np.random.default_rng([seed, number])
    clip_id, digest = f"clip/{number:03d} é", rng.bytes(32)
    if number % 7 == 6:
        return Record(clip_id=clip_id, status="missing:no_face", reason="0 of 16 frames", input_sha256=digest)
    arrays = {
        "frames": rng.normal(size=(int(rng.integers(1, 30)), 6)).astype(np.float32),
        "tokens": rng.normal(size=(3, 4)).astype(np.float32),
        "utterance": rng.normal(size=6).astype(np.float32),
    }
    meta = {"frames": {"t0": 0.01, "dt": 0.02}, "flags": ["short"]}
    return Record(clip_id=clip_id, arrays=arrays, input_sha256=digest, meta=meta)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "features.zarr"


@pytest.fixture
def space(path, make_spec):
    """An empty space of a writable cache, with small shards."""
    return open_cache(path, "a").create(make_spec(), shard_bytes=SHARD_BYTES)


@pytest.fixture
def fill():
    def fill(space, records, **settings):
        with space.writer(**({"durability": "none"} | settings)) as writer:
            for item in records:
                writer.put(item)

    return fill


@pytest.fixture
def assert_holds():
    """That a space holds exactly these records: statuses, digests, meta and values as they are stored."""

    def check(space, records):
        expected = {item.clip_id: item for item in records}
        infos = space.infos()
        assert set(infos) == set(expected)
        for clip_id, item in expected.items():
            info = infos[clip_id]
            assert (info.status, info.reason) == (item.status, item.reason)
            assert info.input_sha256 == item.input_sha256
            assert space.meta(clip_id) == dict(item.meta)
            assert set(info.arrays) == set(item.arrays)
            for name, values in item.arrays.items():
                stored = space.read(clip_id, name)
                np.testing.assert_array_equal(stored, values.astype(LAYOUTS[name].dtype))

    return check


@pytest.fixture
def plain_records():
    """Every record of a cache, as a reader finds it who has zarr and knows nothing of emo."""
    import zarr

    def read(path):
        found = {}
        for encoder, spaces in zarr.open_group(path, mode="r").groups():
            for _, group in spaces.groups():
                ids = group["clip_id"][:]
                current = {str(clip_id): row for row, clip_id in enumerate(ids)}
                for array in ("frames", "tokens", "utterance"):
                    starts, rows = group[f"{array}_start"][:], group[f"{array}_rows"][:]
                    data = group[array]
                    for clip_id, row in current.items():
                        start, count = int(starts[row]), int(rows[row])
                        if count:
                            found[encoder, clip_id, array] = data[start : start + count]
        return found

    return read
