"""CMU-MultimodalSDK sequences in; links and bombs are refused."""

import h5py
import numpy as np
import pytest

from emo.cache import open_cache
from emo.cache.exchange.csd import import_csd
from emo.errors import ConfigError

DIM = 4


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "glove.csd"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as opened:
        for video, packing in (("vid1", {}), ("vid2[0]", {"compression": "gzip", "shuffle": True})):
            group = opened.create_group(f"glove/data/{video}")
            features = rng.normal(size=(5, DIM)).astype(np.float32)
            features[2] = 0
            features[3, 1] = -np.inf
            group.create_dataset("features", data=features, **packing)
            group.create_dataset("intervals", data=np.stack([np.arange(5.0), np.arange(5) + 0.5], axis=1))
        opened["glove/metadata/root name"] = "glove"
    return path


@pytest.fixture
def target(path):
    return open_cache(path, "a")


def test_videos_become_frames_with_their_times(file, target):
    assert {one.clip_id: one.status for one in import_csd(target, file)} == {"vid1": "ok", "vid2[0]": "ok"}
    space = target["glove"]
    with h5py.File(file) as opened:
        for video in space:
            expected = opened[f"glove/data/{video}/features"][:]
            expected[3, 1] = 0
            np.testing.assert_array_equal(space.read(video, "frames"), np.delete(expected, 2, axis=0))
            np.testing.assert_array_equal(space[video].times, [0, 1, 3, 4])
            assert space.meta(video)["frames"]["kept_rows"] == [0, 1, 3, 4]


def external_link(group, outside):
    del group["features"]
    group["features"] = h5py.ExternalLink(outside, "secret")


def soft_link(group, outside):
    del group["features"]
    group["features"] = h5py.SoftLink("/glove/data/vid2[0]/features")


def external_group(group, outside):
    parent = group.parent
    del parent["vid1"]
    parent["vid1"] = h5py.ExternalLink(outside, "/")


def external_storage(group, outside):
    del group["features"]
    group.create_dataset("features", (5, DIM), "<f4", external=[(outside, 0, h5py.h5f.UNLIMITED)])


def virtual(group, outside):
    del group["features"]
    layout = h5py.VirtualLayout((5, DIM), "<f4")
    layout[:] = h5py.VirtualSource(outside, "secret", (5, DIM))
    group.create_virtual_dataset("features", layout)


def never_allocated(group, outside):
    del group["features"]
    group.create_dataset("features", (10**12, DIM), "<f4")


def bomb(group, outside):
    del group["features"]
    group.create_dataset("features", data=np.ones((1 << 20, DIM), "f4"), compression="gzip")


def words(group, outside):
    del group["features"]
    group.create_dataset("features", data=np.array([[b"word"]] * 5))


def intervals_of_others(group, outside):
    del group["intervals"]
    group.create_dataset("intervals", data=np.zeros((4, 2)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (external_link, "ExternalLink"),
        (soft_link, "SoftLink"),
        (external_group, "ExternalLink"),
        (external_storage, "in another file"),
        (virtual, "in another file"),
        (never_allocated, "claims"),
        (bomb, "unpacks"),
        (words, "not float16"),
        (intervals_of_others, "intervals"),
    ],
)
def test_a_hostile_video_is_refused_and_the_other_is_stored(file, target, tmp_path, change, why):
    outside = tmp_path / "outside.h5"
    with h5py.File(outside, "w") as opened:
        opened["secret"] = np.ones((5, DIM), "f4")
        opened["features"] = np.ones((5, DIM), "f4")
        opened["intervals"] = np.ones((5, 2))
    with h5py.File(file, "a") as opened:
        change(opened["glove/data/vid1"], str(outside))
    found = {one.clip_id: one.status for one in import_csd(target, file)}
    assert found == {"vid1": "failed:refused", "vid2[0]": "ok"}
    assert why in target["glove"].info("vid1").reason


def test_a_linked_sequence_is_refused(file, target, tmp_path):
    with h5py.File(file, "a") as opened:
        opened.move("glove", "hidden")
        opened["glove"] = h5py.SoftLink("/hidden")
    with pytest.raises(ConfigError, match="SoftLink"):
        list(import_csd(target, file))


def test_a_name_is_for_one_sequence(file, target):
    list(import_csd(target, file, "words"))
    assert "words" in target
    with h5py.File(file, "a") as opened:
        opened.copy("glove", "other")
    with pytest.raises(ConfigError, match="one sequence"):
        list(import_csd(target, file, "words"))
