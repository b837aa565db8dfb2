"""Every head of the table gives logits of the present features and of nothing else."""

import pytest
import torch
from torch import nn

from emo.errors import ConfigError
from emo.heads.attention import AttentionFusion
from emo.heads.models import HEADS, make_head

DIMS = {"hubert": 5, "mae": 3, "eva": 4}


@pytest.fixture(params=sorted(HEADS))
def head(request) -> nn.Module:
    torch.manual_seed(0)
    return make_head(request.param, DIMS, 6, width=8)


def test_logits_have_one_column_a_class(head, kit):
    assert head(kit.batch(7, DIMS)).shape == (7, 6)


def test_nan_under_a_mask_reaches_neither_logits_nor_gradients(head, kit):
    head.eval()
    clean = kit.batch(9, DIMS, absent=0.4)
    for name in DIMS:
        clean.masks[name][0] = False  # a clip without any feature is in the batch
    poisoned = clean.take(range(9))
    for name, value in poisoned.values.items():
        value[~poisoned.masks[name]] = torch.nan
    gradients = []
    for batch in (clean, poisoned):
        head.zero_grad()
        logits = head(batch)
        assert torch.isfinite(logits).all()
        logits.square().sum().backward()
        gradients.append(
            [logits.detach(), *(p.grad.clone() for p in head.parameters() if p.grad is not None)]
        )
    assert all(torch.isfinite(gradient).all() for gradient in gradients[1])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_a_present_feature_matters(head, kit):
    head.eval()
    batch = kit.batch(4, DIMS)
    before = head(batch)
    batch.values["mae"][1] += 1
    after = head(batch)
    assert not torch.equal(before[1], after[1])
    assert torch.equal(before[[0, 2, 3]], after[[0, 2, 3]])


def test_absence_is_not_the_same_as_a_row_of_zeros(head, kit):
    head.eval()
    batch = kit.batch(2, DIMS)
    batch.values["mae"][0] = 0
    zeros = head(batch)[0]
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if name.startswith("absent"):
                parameter.fill_(0.3)  # as training would
    batch.masks["mae"][0] = False
    assert not torch.allclose(head(batch)[0], zeros)


def test_attention_weights_sum_to_one_over_the_present_features_only(kit):
    head = AttentionFusion(DIMS, 6, width=8).eval()
    batch = kit.batch(20, DIMS, absent=0.5)
    weights = head.weights(batch)
    present = torch.stack([batch.masks[name] for name in DIMS], dim=1)
    assert (weights[~present] == 0).all()
    assert torch.allclose(weights.sum(dim=1), present.any(dim=1).float())


def test_tokens_are_refused_with_the_cure(head, kit):
    batch = kit.batch(2, DIMS)
    with pytest.raises(ConfigError, match="Load it with a pooling"):
        head(batch.with_values({**batch.values, "eva": torch.zeros(2, 3, 4)}))


def test_a_head_of_your_own_is_made_by_its_path_with_its_options(kit, monkeypatch, tmp_path):
    source = "from torch import nn\nclass Mine(nn.Module):\n    def __init__(self, dims, classes):\n"
    (tmp_path / "my_heads.py").write_text(source + "        super().__init__()\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert type(make_head("my_heads:Mine", DIMS, 6)).__name__ == "Mine"
    with pytest.raises(ConfigError, match="refuses its options"):
        make_head("my_heads:Mine", DIMS, 6, width=3)
    with pytest.raises(ConfigError, match="my_heads:Missing"):
        make_head("my_heads:Missing", DIMS, 6)


def test_an_unknown_head_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="Known: concat, attention"):
        make_head("atention", DIMS, 6)
