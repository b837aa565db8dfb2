"""Every head of the table gives logits of the present features and of nothing else."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from emo.errors import ConfigError
from emo.heads.attention import AttentionFusion
from emo.heads.batches import FeatureBatch
from emo.heads.models import HEADS, check_head, head_options, head_reads, make_head

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


@pytest.mark.parametrize("name", [name for name, entry in HEADS.items() if entry.reads == "utterance"])
def test_tokens_are_refused_with_the_cure(name, kit):
    batch = kit.batch(2, DIMS)
    with pytest.raises(ConfigError, match="Load it with a pooling"):
        make_head(name, DIMS, 6, width=8)(batch.with_values({**batch.values, "eva": torch.zeros(2, 3, 4)}))


def test_a_clip_is_answered_as_it_is_alone(head, kit):
    head.eval()
    batch = kit.batch(9, DIMS, absent=0.3)
    together = head(batch)
    alone = torch.cat([head(batch.take([row])) for row in range(9)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_training_at_random_lowers_the_loss(head, kit):
    """Every parameter that has a say gets a gradient, and steps along it help."""
    batch = kit.batch(24, DIMS)
    targets = torch.arange(24) % 6
    optimiser = torch.optim.Adam(head.parameters(), lr=1e-2)
    head.eval()
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(head(batch), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def framed(counts, dims=DIMS, room=5, seed=0) -> FeatureBatch:
    """Features of `counts` frames, with NaN behind the end of each clip."""
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(counts)
    values = {}
    for name, dim in dims.items():
        values[name] = torch.randn(len(counts), 5, dim, generator=rng)
        values[name] = torch.cat([values[name], torch.zeros(len(counts), room - 5, dim)], dim=1)
        values[name][torch.arange(room) >= lengths.unsqueeze(1)] = torch.nan
    ids = tuple(map(str, range(len(counts))))
    masks = {name: torch.ones(len(counts), dtype=torch.bool) for name in dims}
    return FeatureBatch(ids, values, masks, {}, dict.fromkeys(dims, lengths))


@pytest.fixture(params=[name for name, entry in HEADS.items() if entry.reads == "frames"])
def frame_head(request) -> nn.Module:
    torch.manual_seed(0)
    return make_head(request.param, DIMS, 6, width=8).eval()


def test_padded_frames_have_no_influence(frame_head):
    short, long = framed([5, 2, 1, 3]), framed([5, 2, 1, 3], room=9)
    assert torch.isfinite(frame_head(short)).all()
    assert torch.allclose(frame_head(short), frame_head(long), atol=1e-6)
    whole = framed([5, 2, 1, 3])
    row = frame_head(replace(whole.take([1]), values={n: v[1:2, :2] for n, v in whole.values.items()}))
    assert torch.allclose(row, frame_head(whole)[1:2], atol=1e-6)


def test_every_frame_that_is_there_matters_and_their_order_too(frame_head):
    batch = framed([5, 5])
    before = frame_head(batch)
    for frame in range(5):
        values = {name: value.clone() for name, value in batch.values.items()}
        values["mae"][1, frame] += 1
        after = frame_head(batch.with_values(values))
        assert torch.equal(after[0], before[0]) and not torch.allclose(after[1], before[1], atol=1e-6)
    backwards = frame_head(batch.with_values({n: v.flip(1) for n, v in batch.values.items()}))
    assert not torch.allclose(backwards, before, atol=1e-5)


def test_an_absent_sequence_has_no_influence(frame_head):
    batch = framed([5, 2, 4])
    batch.masks["mae"][1] = False
    before = frame_head(batch)
    values = {name: value.clone() for name, value in batch.values.items()}
    values["mae"][1] = 1e6
    assert torch.equal(frame_head(batch.with_values(values)), before)


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
    with pytest.raises(ConfigError, match="Known: mlp, concat, attention"):
        make_head("atention", DIMS, 6)


WRONG = """
import torch
from torch import nn

class Base(nn.Module):
    def __init__(self, dims, classes):
        super().__init__()
        self.classes = classes

class Raises(Base):
    def forward(self, batch):
        return batch.videos

class Narrow(Base):
    def forward(self, batch):
        return torch.zeros(len(batch), 1)

class Peeks(Base):
    def forward(self, batch):
        return sum(value.sum(dim=1, keepdim=True) for value in batch.values.values()).expand(-1, self.classes)

class Frames(Base):
    reads = "frames"
"""


@pytest.fixture
def wrong(monkeypatch, tmp_path):
    (tmp_path / "wrong_heads.py").write_text(WRONG)
    monkeypatch.syspath_prepend(tmp_path)
    return "wrong_heads:"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Raises", "'videos'"),
        ("Narrow", r"gives \(2, 1\) for 2 clips and 6 outputs, not logits \(2, 6\)"),
        ("Peeks", r"not finite without hubert: it reads values under a False mask.*batch\.present"),
    ],
)
def test_a_head_that_does_not_fit_is_told_where_it_does_not(wrong, kit, name, said):
    with pytest.raises(ConfigError, match=said):
        check_head(make_head(wrong + name, DIMS, 6), wrong + name, kit.batch(2, DIMS), 6)


def test_every_head_of_the_table_fits(head, kit):
    check_head(head, "it", kit.batch(2, DIMS, absent=0.4), 6)


def test_a_head_says_what_it_reads_and_which_options_it_takes(wrong):
    assert head_reads(wrong + "Frames") == "frames" and head_reads(wrong + "Narrow") == "utterance"
    assert head_options("lmf") == ("width", "rank", "dropout")
    assert head_options(wrong + "Narrow") == ()
