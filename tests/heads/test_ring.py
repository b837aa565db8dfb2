"""Arrays leave the cache as padded tensors, at once or batch by batch out of its ring."""

import threading

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from emo.cache import open_cache
from emo.errors import CacheMiss, ConfigError
from emo.heads.ring import RingDataset, to_torch
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

LAYOUTS = {
    "frames": ArrayLayout(kind="frames", dim=4, dtype="bfloat16"),
    "tokens": ArrayLayout(kind="tokens", dim=4, tokens=3),
    "utterance": ArrayLayout(kind="utterance", dim=5, dtype="float32"),
}
IDS = [f"clip{number}" for number in (4, 0, 6, 2, 1, 5, 3)]


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    spec = FeatureSpec(encoder="bench", weights={}, recipe={}, recipe_version=1, arrays=LAYOUTS)
    path = tmp_path_factory.mktemp("ring") / "features.zarr"
    rng = np.random.default_rng(0)
    with open_cache(path, "a").create(spec).writer("none") as writer:
        for number in range(7):
            arrays = {
                "frames": rng.normal(size=(number + 1, 4)),
                "tokens": rng.normal(size=(3, 4)),
                "utterance": rng.normal(size=5),
            }
            writer.put(Record(clip_id=f"clip{number}", arrays=arrays))
    return open_cache(path)["bench"]


@pytest.mark.parametrize("array", LAYOUTS)
def test_the_ring_gives_every_clip_in_order_as_it_is_read_singly(space, array):
    batches = RingDataset(space, IDS, array, size=3)
    seen = []
    for batch in batches:
        assert batch.values.dtype == getattr(torch, LAYOUTS[array].dtype)
        assert batch.mask.shape == batch.values.shape[:-1]
        for clip_id, values, mask in zip(batch.clip_ids, batch.values, batch.mask, strict=True):
            assert np.array_equal(values[mask].float().reshape(-1), space.read(clip_id, array).reshape(-1))
            assert not values[~mask].any()
        seen += batch.clip_ids
    assert seen == IDS and len(batches) == 3


def test_each_epoch_is_the_same_and_leaves_no_thread(space):
    before = threading.active_count()
    batches = RingDataset(space, IDS, "frames", size=2)
    first, second = ([batch.values.clone() for batch in batches] for _ in range(2))
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
    next(iter(batches))
    assert threading.active_count() == before


def test_a_batch_is_no_copy_of_its_buffer(space):
    places = {batch.values.data_ptr() for batch in RingDataset(space, IDS, "utterance", size=1, buffers=2)}
    assert len(places) == 2


def test_it_stands_in_a_data_loader_without_workers(space):
    loader = DataLoader(RingDataset(space, IDS, "frames", size=4), batch_size=None)
    assert [batch.clip_ids for batch in loader] == [tuple(IDS[:4]), tuple(IDS[4:])]
    with pytest.raises(ConfigError, match="num_workers=0"):
        list(DataLoader(RingDataset(space, IDS, "frames"), batch_size=None, num_workers=1))


def test_all_clips_at_once_are_one_padded_tensor(space):
    batch = to_torch(space, "frames", IDS)
    assert batch.values.shape == (7, 7, 4)
    assert batch.mask.sum(dim=1).tolist() == [5, 1, 7, 3, 2, 6, 4]
    assert to_torch(space, "frames", IDS[:1]).values.shape == (1, 5, 4)


def test_a_clip_that_is_not_there_and_no_clip_are_told(space):
    with pytest.raises(CacheMiss, match="nobody"):
        RingDataset(space, ["clip1", "nobody"], "frames")
    with pytest.raises(ConfigError, match="no clip"):
        to_torch(space, "frames", [])
    assert list(RingDataset(space, [], "frames")) == []
