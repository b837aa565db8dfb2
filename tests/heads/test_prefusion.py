"""The v2 pre-fusion has the published sizes, and its masks mean that a feature is not there."""

import pytest
import torch

from emo.heads.batches import FeatureBatch
from emo.heads.prefusion import STEPS, WIDTH, ConvAttention, steps_of

V2 = {"audio": 1280, "frame": 1408, "video": 1408}


@pytest.fixture
def fusion():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ConvAttention({"audio": 4, "frame": 3}, 5, steps=8).eval()


def batch_of(**masks):
    generator = torch.Generator().manual_seed(1)
    values = {
        "audio": torch.randn(2, 16, 4, generator=generator),
        "frame": torch.randn(2, 3, generator=generator),
    }
    there = {"audio": [True, True], "frame": [True, True]} | masks
    return FeatureBatch(("a", "b"), values, {name: torch.tensor(mask) for name, mask in there.items()})


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_at_the_size_of_v2_are_the_published_ones():
    with torch.device("meta"):
        fusion = ConvAttention(V2, 4096)
    assert size(fusion) - size(fusion.out) == 2_838_275
    assert size(fusion.out) == 1_052_672
    values = {name: torch.zeros(2, STEPS, dim, device="meta") for name, dim in V2.items()}
    masks = {name: torch.ones(2, dtype=torch.bool, device="meta") for name in V2}
    assert fusion(FeatureBatch(("a", "b"), values, masks)).shape == (2, 64, 4096)


def test_a_vector_is_repeated_and_tokens_are_averaged_over_neighbours():
    vector, tokens = torch.arange(3.0).expand(2, 3), torch.arange(8.0).view(1, 8, 1)
    assert torch.equal(steps_of(vector, 4), vector.unsqueeze(1).expand(2, 4, 3))
    assert steps_of(tokens, 4).flatten().tolist() == [0.5, 2.5, 4.5, 6.5]


def test_a_missing_feature_is_not_read_and_counts_in_neither_branch(fusion):
    masked = batch_of(frame=[True, False])
    spoilt = masked.with_values({**masked.values, "frame": masked.values["frame"].clone()})
    spoilt.values["frame"][1] = torch.nan
    assert torch.equal(fusion(masked), fusion(spoilt))
    whole, part = fusion(batch_of()), fusion(masked)
    assert torch.equal(whole[0], part[0])
    assert not torch.allclose(whole[1], part[1], atol=1e-3)
    with torch.no_grad():  # what encodes the missing feature is not asked about that clip
        for parameter in fusion.encoders["frame"].parameters():
            parameter.add_(1.0)
    changed = fusion(masked)
    assert torch.equal(changed[1], part[1])
    assert not torch.allclose(changed[0], part[0], atol=1e-3)


def test_a_block_of_the_convolutional_branch_adds_to_what_came_in(fusion):
    joined = torch.randn(1, 8, 2 * WIDTH, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for block in fusion.blocks:
            block.weight.zero_()
            block.bias.zero_()  # silu(0) is 0: the block brings nothing, and what came in goes through
        assert torch.equal(fusion._convolved(joined), fusion.enter(joined.transpose(1, 2)).transpose(1, 2))


def test_neighbouring_steps_look_at_each_other_and_far_ones_do_not(fusion):
    batch = batch_of()
    changed = batch.with_values({**batch.values, "audio": batch.values["audio"].clone()})
    changed.values["audio"][0, :2] += 1.0  # the first of eight steps
    moved = (fusion(batch) - fusion(changed))[0].abs().amax(dim=1) > 1e-7
    assert moved.tolist() == [True] * 5 + [False] * 3  # four convolutions of three reach four steps on
