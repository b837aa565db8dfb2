"""A batch is names, values and masks; what is masked is never read."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch, drop_modalities, sample_views, shuffled
from emo.heads.standardise import Standardiser

DIMS = {"hubert": 5, "mae": 3}


def test_masks_of_another_shape_or_type_are_refused():
    values = {"mae": torch.zeros(2, 3)}
    with pytest.raises(ConfigError, match="2 clips but 2 rows"):
        FeatureBatch(("a", "b"), values, {"mae": torch.ones(2)})
    with pytest.raises(ConfigError, match="bool mask of shape"):
        FeatureBatch(("a", "b"), values, {"mae": torch.ones(3, dtype=torch.bool)})
    with pytest.raises(ConfigError, match="masks"):
        FeatureBatch(("a", "b"), values, {})


def test_take_keeps_ids_values_and_masks_together(kit):
    batch = kit.batch(6, DIMS, absent=0.3)
    part = batch.take([4, 1])
    assert part.clip_ids == ("clip4", "clip1")
    assert torch.equal(part.values["mae"], batch.values["mae"][[4, 1]])
    assert torch.equal(part.masks["mae"], batch.masks["mae"][[4, 1]])


def test_present_hides_nan_under_a_false_mask(kit):
    batch = kit.batch(4, DIMS)
    batch.masks["mae"][2] = False
    batch.values["mae"][2] = torch.nan
    assert torch.equal(batch.present("mae")[2], torch.zeros(3))
    assert torch.equal(batch.present("mae")[0], batch.values["mae"][0])


def test_shuffling_moves_features_together_and_leaves_the_ids(kit):
    batch = kit.batch(40, DIMS, absent=0.3)
    mixed = shuffled(batch, np.random.default_rng(1))
    assert mixed.clip_ids == batch.clip_ids
    rows = [
        next(row for row in range(40) if torch.equal(batch.values["mae"][row], value))
        for value in mixed.values["mae"]
    ]
    assert sorted(rows) == list(range(40)) and rows != list(range(40))
    assert torch.equal(mixed.values["hubert"], batch.values["hubert"][rows])
    assert torch.equal(mixed.masks["hubert"], batch.masks["hubert"][rows])


@given(st.integers(0, 1000), st.floats(0.05, 1.0))
def test_modality_dropout_never_takes_the_last_feature_nor_gives_one(seed, rate):
    rng = np.random.default_rng(seed)
    before = torch.tensor(rng.random((20, 3)) < 0.6)
    batch = FeatureBatch(
        tuple(map(str, range(20))),
        {name: torch.zeros(20, 2) for name in "abc"},
        {name: before[:, column] for column, name in enumerate("abc")},
    )
    dropped = drop_modalities(batch, rate, torch.Generator().manual_seed(seed))
    after = torch.stack([dropped.masks[name] for name in "abc"], dim=1)
    assert not (after & ~before).any()
    assert torch.equal(after.any(dim=1), before.any(dim=1))


def test_modality_dropout_hides_about_its_rate(kit):
    batch = kit.batch(4000, dict.fromkeys("abcd", 1))
    dropped = drop_modalities(batch, 0.3, torch.Generator().manual_seed(0))
    hidden = 1 - torch.stack(list(dropped.masks.values())).float().mean()
    assert hidden == pytest.approx(0.3, abs=0.02)


def test_standardised_training_features_have_mean_0_and_deviation_1_over_present_clips(kit):
    batch = kit.batch(50, DIMS, absent=0.3)
    batch.values["mae"][~batch.masks["mae"]] = torch.nan
    batch.values["mae"][:, 1] = 4.0
    scaled = Standardiser.fit(batch)(batch)
    present = scaled.values["mae"][batch.masks["mae"]]
    assert torch.allclose(present.mean(dim=0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(present[:, [0, 2]].std(dim=0, correction=0), torch.ones(2), atol=1e-5)
    assert torch.equal(present[:, 1], torch.zeros_like(present[:, 1]))  # constant: nothing, not noise


def test_a_feature_that_no_training_clip_has_is_refused(kit):
    batch = kit.batch(5, DIMS)
    batch.masks["mae"][:] = False
    with pytest.raises(ConfigError, match="mae: none of the 5 training clips"):
        Standardiser.fit(batch)


def test_modality_dropout_by_feature_leaves_the_others_alone(kit):
    batch = kit.batch(40, DIMS, absent=0.3)
    rates = dict.fromkeys(batch.names, 0.0) | {batch.names[0]: 1.0}
    dropped = drop_modalities(batch, rates, torch.Generator().manual_seed(0))
    for name in batch.names[1:]:
        assert torch.equal(dropped.masks[name], batch.masks[name])
    others = torch.stack([batch.masks[name] for name in batch.names[1:]]).any(dim=0)
    assert torch.equal(dropped.masks[batch.names[0]], batch.masks[batch.names[0]] & ~others)


def test_training_draws_each_version_of_a_feature_and_leaves_masks_and_other_features_alone():
    rows = 400
    ids = tuple(str(row) for row in range(rows))
    ones = torch.ones(rows, dtype=torch.bool)
    plain = FeatureBatch(ids, {"a": torch.zeros(rows, 2), "b": torch.zeros(rows, 2)}, {"a": ones, "b": ones})
    there = ones.clone()
    there[:100] = False
    noisy = FeatureBatch(ids, {"a": torch.ones(rows, 2)}, {"a": there})
    drawn = sample_views(plain, [noisy], torch.Generator().manual_seed(0))
    assert not drawn.values["a"][:100].any()
    assert 100 < int(drawn.values["a"][100:, 0].sum()) < 200
    assert not drawn.values["b"].any()
    assert drawn.masks == plain.masks


def test_frames_behind_the_end_of_a_clip_are_not_standardised_with():
    values = torch.tensor([[[1.0], [3.0]], [[5.0], [torch.nan]]])
    ones = torch.ones(2, dtype=torch.bool)
    batch = FeatureBatch(("a", "b"), {"v": values}, {"v": ones}, {}, {"v": torch.tensor([2, 1])})
    scaled = Standardiser.fit(batch)(batch)
    assert torch.allclose(scaled.rows("v"), torch.tensor([[-1.0], [0.0], [1.0]]) * 1.5**0.5)
