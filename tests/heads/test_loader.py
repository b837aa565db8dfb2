"""Features leave the cache by name; a clip without usable features is a mask, and nothing is zero-filled."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import emo
from emo.cache import open_cache
from emo.errors import CacheMiss, ConfigError
from emo.heads.loader import FeatureDataset, as_is, load_features
from emo.heads.pooling import STATISTICS, pool
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec


@pytest.fixture
def spaces(kit):
    spaces = kit.spaces(kit.clips(8))
    spaces["face"].records["clip003"] = Record(clip_id="clip003", status="missing:no_face")
    spaces["face"].records["clip005"] = Record(
        clip_id="clip005", status="degraded:short", arrays={"utterance": np.ones(6, dtype=np.float32)}
    )
    return spaces


IDS = [f"clip{index:03d}" for index in (6, 3, 5, 0)]


def test_rows_come_in_the_order_asked_for_with_masks_and_sources(spaces):
    batch = load_features(spaces, IDS, {})
    assert batch.clip_ids == tuple(IDS)
    assert batch.masks["face"].tolist() == [True, False, False, True]
    assert batch.masks["voice"].all()
    assert np.array_equal(batch.values["voice"][3], spaces["voice"].records["clip000"].arrays["utterance"])
    assert batch.sources["face"].spec is spaces["face"].spec and batch.sources["face"].array == "utterance"


def test_rows_of_absent_clips_are_not_zeros(spaces):
    batch = load_features(spaces, IDS, {})
    assert torch.isnan(batch.values["face"][1]).all()


def test_degraded_records_count_only_where_they_are_accepted(spaces):
    batch = load_features(spaces, IDS, {}, accept_degraded=True)
    assert batch.masks["face"].tolist() == [True, False, True, True]
    assert batch.values["face"][2].tolist() == [1.0] * 6


def test_a_clip_that_was_never_extracted_is_a_miss_with_the_command(spaces):
    with pytest.raises(CacheMiss, match=r"1 of 2 clips, the first is 'new'.*emo extract --encoder face"):
        load_features(spaces, ["clip000", "new"], {})
    batch = load_features(spaces, ["clip000", "new"], {}, missing_ok=True)
    assert batch.masks["voice"].tolist() == [True, False]


def test_frames_are_pooled_in_float32(spaces):
    batch = load_features({"voice": spaces["voice"]}, IDS, {"voice": "frames:mean+std"})
    frames = spaces["voice"].records["clip006"].arrays["frames"].astype(np.float32)
    expected = np.concatenate([frames.mean(axis=0), frames.std(axis=0)])
    assert batch.values["voice"].dtype == torch.float32
    assert np.allclose(batch.values["voice"][0], expected, atol=1e-6)


def test_frames_without_a_pooling_and_unknown_arrays_are_refused(spaces):
    with pytest.raises(ConfigError, match=r"Name a pooling, such as frames:mean\+std"):
        load_features(spaces, IDS, {"face": "frames"})
    with pytest.raises(ConfigError, match="face stores utterance, frames, not 'tokens'"):
        load_features(spaces, IDS, {"face": "tokens"})
    with pytest.raises(ConfigError, match="no statistic 'median'"):
        load_features(spaces, IDS, {"face": "frames:mean+median"})


def test_tokens_keep_their_axes(kit):
    space = kit.space(kit.spec("eva", 4, kind="tokens"))
    tokens = np.arange(20, dtype=np.float16).reshape(5, 4)
    space.records["a"] = Record(clip_id="a", arrays={"tokens": tokens})
    batch = load_features({"eva": space}, ["a"], {"eva": "tokens"})
    assert batch.values["eva"].shape == (1, 5, 4)
    first = load_features({"eva": space}, ["a"], {"eva": "tokens:first"})
    assert first.values["eva"].tolist() == [[0, 1, 2, 3]]


def test_a_data_loader_fetches_whole_batches(spaces):
    clip_ids = [f"clip{index:03d}" for index in range(8)]
    dataset = FeatureDataset(spaces, clip_ids, {})
    batches = list(DataLoader(dataset, batch_size=3, collate_fn=as_is))
    assert [len(batch) for batch in batches] == [3, 3, 2]
    whole = load_features(spaces, clip_ids, {})
    assert torch.equal(torch.cat([batch.values["voice"] for batch in batches]), whole.values["voice"])
    assert dataset[3].clip_ids == ("clip003",)


def test_the_apex_is_the_change_at_the_frame_farthest_from_the_first():
    frames = np.array([[5, 5], [5, 6], [9, 5], [6, 6]], dtype=np.float16)
    assert pool(frames, "apex").tolist() == [4, 0]
    assert pool(frames, "range+first").tolist() == [4, 1, 5, 5]


def test_identity_that_is_constant_over_a_clip_cancels_in_the_apex():
    frames = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    assert np.allclose(pool(frames, "apex"), pool(frames + 3, "apex"), atol=1e-5)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_every_statistic_of_one_frame_is_finite_and_of_its_dim(name):
    pooled = pool(np.array([[1.0, -2.0]], dtype=np.float16), name)
    assert pooled.shape == (2,) and np.isfinite(pooled).all()


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "start"), [(0, None), (2, "fork"), (2, "spawn")])
def test_a_data_loader_reads_a_cache_in_worker_processes(tmp_path, workers, start):
    layouts = {"tokens": ArrayLayout(kind="tokens", dim=4, tokens=3)}
    spec = FeatureSpec(encoder="eva", weights={}, recipe={}, recipe_version=1, arrays=layouts)
    rng = np.random.default_rng(0)
    with open_cache(tmp_path / "f.zarr", "a").create(spec).writer("none") as writer:
        for number in range(7):
            writer.put(
                Record(clip_id=f"clip{number}", arrays={"tokens": rng.normal(size=(3, 4)).astype("f2")})
            )
    spaces = {"eva": emo.open(tmp_path / "f.zarr")["eva"]}
    clip_ids = list(spaces["eva"])
    whole = load_features(spaces, clip_ids, {"eva": "tokens"})  # descriptors are open when workers start
    loader = DataLoader(
        FeatureDataset(spaces, clip_ids, {"eva": "tokens"}),
        batch_size=3,
        collate_fn=as_is,
        num_workers=workers,
        multiprocessing_context=start,
    )
    got = list(loader)
    assert [clip_id for batch in got for clip_id in batch.clip_ids] == clip_ids
    assert torch.equal(torch.cat([batch.values["eva"] for batch in got]), whole.values["eva"])


def test_frames_in_bins_are_means_of_neighbours_in_the_order_of_time():
    frames = np.arange(10, dtype=np.float16)[:, None]
    assert pool(frames, "bins4").tolist() == [[0.5], [3.0], [5.5], [8.0]]
    assert pool(frames[:3], "bins4").tolist() == [[0], [1], [2]]
    assert pool(frames, "bins10").tolist() == frames.tolist()
    with pytest.raises(ConfigError, match="no statistic 'bins0'"):
        pool(frames, "bins0")


def test_frames_in_bins_come_with_lengths_and_nan_behind_the_end(kit):
    space = kit.space(kit.spec("voice", 2))
    for name, count in (("long", 9), ("short", 2)):
        arrays = {"frames": np.ones((count, 2), dtype=np.float16)}
        space.records[name] = Record(clip_id=name, arrays=arrays)
    space.records["gone"] = Record(clip_id="gone", status="missing:no_audio")
    batch = load_features({"voice": space}, ["long", "short", "gone"], {"voice": "frames:bins3"})
    assert batch.values["voice"].shape == (3, 3, 2)
    assert batch.lengths["voice"].tolist() == [3, 2, 0]
    assert batch.token_mask("voice").tolist() == [[True] * 3, [True, True, False], [False] * 3]
    assert torch.isnan(batch.values["voice"][1, 2]).all()
    assert batch.present("voice")[1:, 2].tolist() == [[0, 0], [0, 0]]
    assert batch.take([1]).lengths["voice"].tolist() == [2]
    assert batch.only(["voice"]).rows("voice").shape == (5, 2)
