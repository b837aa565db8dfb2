"""Projectors have the published shapes and sizes, and merge patches as the raster scan has them."""

import pytest
import torch

from emo.errors import ConfigError
from emo.heads.projectors import (
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
