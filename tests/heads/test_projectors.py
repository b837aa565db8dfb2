"""Projectors have the published shapes and sizes, and merge patches as the raster scan has them."""

import pytest
import torch

from emo.errors import ConfigError
from emo.heads.attention_pool import AttentionPool
from emo.heads.projectors import (
    KINDS,
    OF_A_VIT,
    ClassTokenProjector,
    LinearProjector,
    MergedPatchProjector,
    MLPProjector,
    projectors_for,
    slot_source,
)

SLOTS = ("eva_patches", "mae", "videomae", "hubert", "eva_class")
DIMS = {"hubert": 1024, "mae": 1024, "videomae": 1024, "eva": 1408}


def test_parameters_at_paper_size_are_the_published_ones():
    with torch.device("meta"):
        projectors = projectors_for(SLOTS, DIMS, 4096)
    sizes = {name: sum(p.numel() for p in projectors[name].parameters()) for name in projectors}
    assert sizes == {
        "eva_patches": 23_072_768,
        "mae": 4_198_400,
        "videomae": 4_198_400,
        "hubert": 4_198_400,
        "eva_class": 5_771_264,
    }
    assert sum(sizes.values()) == 41_439_232


def test_slots_without_a_feature_get_no_projector():
    assert list(projectors_for(SLOTS, {"hubert": 4, "wavlm": 3}, 2)) == ["hubert"]
    with pytest.raises(ConfigError, match="need other features than wavlm"):
        projectors_for(SLOTS, {"wavlm": 3}, 2)


def test_four_neighbours_of_the_raster_scan_become_one_token():
    projector = MergedPatchProjector(2, 8)
    with torch.no_grad():
        projector.linear.weight.copy_(torch.eye(8))
        projector.linear.bias.zero_()
    tokens = torch.arange(2 * 17 * 2, dtype=torch.float32).view(2, 17, 2)
    merged = projector(tokens)
    assert merged.shape == (2, 4, 8)
    assert torch.equal(merged[1, 2], torch.cat([tokens[1, 9], tokens[1, 10], tokens[1, 11], tokens[1, 12]]))


def test_patches_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="6 patch tokens"):
        MergedPatchProjector(2, 4)(torch.zeros(1, 7, 2))


def test_the_class_token_projector_reads_token_0_only():
    projector = ClassTokenProjector(3, 5)
    tokens = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[:, 1:] = torch.nan
    assert projector(tokens).shape == (2, 1, 5)
    assert torch.equal(projector(tokens), projector(changed))


@pytest.mark.parametrize("kind", [LinearProjector, MLPProjector])
def test_a_vector_a_clip_is_one_token_and_tokens_stay_tokens(kind):
    projector = kind(3, 5)
    vectors = torch.ones(2, 3)
    assert projector(vectors).shape == (2, 1, 5)
    assert projector(vectors.unsqueeze(1).expand(2, 4, 3)).shape == (2, 4, 5)


def test_slots_say_what_they_are_filled_from():
    assert slot_source("eva_patches") == slot_source("eva_class") == ("eva", "tokens")
    assert slot_source("wavlm") == ("wavlm", "utterance")


def as_projector(kind, dim=3, hidden=5):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return KINDS[kind](dim, hidden).eval()


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(kind, shape) for kind in KINDS for shape in ((3,), (9, 3)) if len(shape) == 2 or kind not in OF_A_VIT],
)
def test_the_mean_of_what_is_condensed_is_the_mean_of_the_tokens(kind, shape):
    projector = as_projector(kind)
    values = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    tokens = projector(values)
    assert tokens.shape == (2, projector.tokens(shape), 5)
    assert torch.allclose(projector.mean(projector.condense(values)), tokens.mean(dim=1), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_on_the_last_layer_is_one_on_every_token(kind):
    projector = as_projector(kind)
    values = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(1))
    before = projector(values)
    with torch.no_grad():
        projector.out.weight.mul_(2.5)
        projector.out.bias.mul_(2.5)
    assert torch.allclose(projector(values), 2.5 * before, atol=1e-6)


def test_merging_is_concatenating_four_neighbours_and_one_linear_layer():
    projector = MergedPatchProjector(3, 5)
    tokens = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(1))
    wide = torch.cat([tokens[:, 1::4], tokens[:, 2::4], tokens[:, 3::4], tokens[:, 4::4]], dim=-1)
    assert torch.equal(projector(tokens), projector.linear(wide))


def test_a_kind_is_named_by_slot_and_what_cannot_fill_a_slot_is_refused():
    kinds = {"eva_patches": "attention", "mae": "mlp"}
    projectors = projectors_for(SLOTS, DIMS, 8, kinds)
    assert isinstance(projectors["eva_patches"], AttentionPool)
    assert isinstance(projectors["mae"], MLPProjector)
    assert isinstance(projectors["hubert"], LinearProjector)
    with pytest.raises(ConfigError, match=r"mae: merge4 reads the patch tokens of a ViT"):
        projectors_for(SLOTS, DIMS, 8, {"mae": "merge4"})
    with pytest.raises(ConfigError, match=r"hubert: there is no projector 'lin'; known are linear"):
        projectors_for(SLOTS, DIMS, 8, {"hubert": "lin"})


def test_attention_pooling_sees_neither_padding_nor_the_order_of_tokens():
    pool = as_projector("attention")
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(2, 6, 3, generator=generator)
    expected = pool(tokens)
    padded = torch.cat([tokens, torch.full((2, 3, 3), torch.nan)], dim=1)
    mask = torch.arange(9).expand(2, 9) < 6
    assert torch.allclose(pool(padded, mask), expected, atol=1e-6)
    order = torch.randperm(9, generator=generator)
    assert torch.allclose(pool(padded[:, order], mask[:, order]), expected, atol=1e-6)
    assert not torch.allclose(pool(tokens[:, :5]), expected, atol=1e-3)


def test_a_row_of_nothing_but_padding_is_what_the_queries_alone_say():
    pool = as_projector("attention")
    nothing = torch.zeros(1, 4, dtype=torch.bool)
    one, other = pool(torch.full((1, 4, 3), torch.nan), nothing), pool(torch.randn(1, 4, 3), nothing)
    assert torch.isfinite(one).all()
    assert torch.equal(one, other)
    loss = pool(torch.full((1, 4, 3), torch.nan), nothing).sum()
    loss.backward()
    assert torch.isfinite(pool.out.weight.grad).all()
