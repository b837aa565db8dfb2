"""Each fusion equals the formula of its paper, written out in full."""

import itertools

import numpy as np
import pytest
import torch

from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch
from emo.heads.bilinear import BilinearPooling
from emo.heads.blocks import positions
from emo.heads.lmf import LowRankFusion
from emo.heads.misa import MISA, central_moment_discrepancy, squared_correlation
from emo.heads.mult import CrossLayer, MulT
from emo.heads.tfn import TensorFusion, fitting_width
from emo.heads.unimodal import UnimodalMLP

DIMS = {"a": 5, "b": 3, "c": 4}
W = 3


@pytest.fixture
def hidden():
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(6, W, generator=generator, dtype=torch.float64) for name in DIMS}


@pytest.fixture
def masks():
    """Every kind of absence: none, one, two, all."""
    rows = torch.tensor([[1, 1, 1], [0, 1, 1], [1, 0, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]], dtype=torch.bool)
    return {name: rows[:, column] for column, name in enumerate(DIMS)}


def appended(hidden, masks, name):
    """[z; 1], and [0; 1] where absent, as numpy."""
    value = np.where(masks[name].numpy()[:, None], hidden[name].numpy(), 0.0)
    return np.concatenate([value, np.ones((len(value), 1))], axis=1)


def test_lmf_equals_the_full_weight_tensor_that_it_factorises(hidden, masks):
    head = LowRankFusion(DIMS, 2, width=W, rank=3).double()
    with torch.no_grad():
        head.bias.normal_()
    a, b, c = (factor.detach().numpy() for factor in head.factors.values())
    weights = head.rank_weights.detach().numpy()[0]
    tensor = sum(
        weights[r] * np.einsum("io,jo,ko->ijko", a[r], b[r], c[r]) for r in range(3)
    )  # (W+1, W+1, W+1, W): what a tensor network without factors would learn
    x, y, z = (appended(hidden, masks, name) for name in DIMS)
    expected = np.einsum("bi,bj,bk,ijko->bo", x, y, z, tensor) + head.bias.detach().numpy()
    assert np.allclose(head.fuse(hidden, masks).detach().numpy(), expected, atol=1e-12)


def test_lmf_of_many_features_starts_near_the_product_of_ones():
    torch.manual_seed(0)
    dims = dict.fromkeys("abcdef", 4)
    head = LowRankFusion(dims, 2, width=64, rank=4)
    torch.nn.init.constant_(head.rank_weights, 1 / 4)
    absent = {name: torch.zeros(1, dtype=torch.bool) for name in dims}
    fused = head.fuse({name: torch.zeros(1, 64) for name in dims}, absent)
    assert fused.mean().item() == pytest.approx(1.0, abs=0.1)


def test_tfn_is_the_outer_product_of_all_features_with_ones(hidden, masks):
    head = TensorFusion(DIMS, 2, width=W).double()
    parts = [appended(hidden, masks, name) for name in DIMS]
    for row, fused in enumerate(head.fuse(hidden, masks).detach().numpy()):
        one, two, three = (part[row] for part in parts)
        expected = [i * j * k for i, j, k in itertools.product(one, two, three)]
        assert np.allclose(fused, expected, atol=1e-12)


def test_an_absent_feature_leaves_tfn_and_lmf_the_terms_of_the_others(hidden, masks):
    masks = {name: torch.ones(6, dtype=torch.bool) for name in DIMS} | {"b": torch.zeros(6, dtype=torch.bool)}
    fused = TensorFusion(DIMS, 2, width=W).double().fuse(hidden, masks).view(6, W + 1, W + 1, W + 1)
    without = TensorFusion({"a": 5, "c": 4}, 2, width=W).double()
    kept = {name: hidden[name] for name in ("a", "c")}
    assert not fused[:, :, :-1].any()
    assert torch.equal(fused[:, :, -1].flatten(1), without.fuse(kept, {name: masks[name] for name in kept}))


def test_tfn_of_too_many_products_is_refused_with_the_way_out():
    dims = dict.fromkeys("abcde", 4)
    with pytest.raises(ConfigError, match="5 features of width 16 have 1,419,857 products"):
        TensorFusion(dims, 2, width=16)
    assert [fitting_width(count) for count in (1, 2, 3, 4)] == [32, 32, 26, 10]


def test_factorised_bilinear_pooling_is_the_bilinear_form_of_its_factors(hidden, masks):
    head = BilinearPooling(DIMS, 2, width=W, factors=2).double()
    fused = head.fuse(hidden, masks).detach().numpy().reshape(6, 3, W)
    for number, (one, two) in enumerate([("a", "b"), ("a", "c"), ("b", "c")]):
        u, v = (side.weight.detach().numpy().reshape(W, 2, W) for side in head.sides[number])
        for row in range(6):
            if not (masks[one][row] and masks[two][row]):
                continue
            x, y = hidden[one][row].numpy(), hidden[two][row].numpy()
            forms = np.array([x @ (u[o].T @ v[o]) @ y for o in range(W)])  # x' U V' y
            rooted = np.sign(forms) * np.sqrt(np.abs(forms))
            assert np.allclose(fused[row, number], rooted / np.linalg.norm(rooted), atol=1e-6)
    assert not fused[4].any()  # no feature at all
    assert not fused[3, 2].any()  # both of the last pair absent
    alone = head.sides[0][0].weight.detach().numpy() @ hidden["a"][3].numpy()
    sums = alone.reshape(W, 2).sum(axis=1)  # the other side is ones
    rooted = np.sign(sums) * np.sqrt(np.abs(sums))
    assert np.allclose(fused[3, 0], rooted / np.linalg.norm(rooted), atol=1e-6)


def test_misa_pulls_moments_together_and_pushes_correlations_apart():
    rng = np.random.default_rng(0)
    x, y = rng.random((40, W)), rng.random((40, W))
    expected = np.linalg.norm(x.mean(0) - y.mean(0))
    for order in range(2, 6):
        moments = [((part - part.mean(0)) ** order).mean(0) for part in (x, y)]
        expected += np.linalg.norm(moments[0] - moments[1])
    assert central_moment_discrepancy(torch.tensor(x), torch.tensor(y)).item() == pytest.approx(expected)
    assert central_moment_discrepancy(torch.tensor(x), torch.tensor(x)).item() == 0
    sides = []
    for part in (x, y):
        centred = part - part.mean(0)
        sides.append(centred / np.linalg.norm(centred, axis=1, keepdims=True))
    total = sum((sides[0][:, i] @ sides[1][:, j]) ** 2 for i in range(W) for j in range(W)) / W**2
    assert squared_correlation(torch.tensor(x), torch.tensor(y)).item() == pytest.approx(total)


def test_misa_keeps_what_is_private_apart_from_what_is_shared_and_from_each_other(kit):
    torch.manual_seed(0)
    head = MISA(DIMS, 4, width=8, similarity=0, difference=1, reconstruction=0).eval()
    batch = kit.batch(12, DIMS)
    projected = {name: layer(batch.present(name)) for name, layer in head.projections.items()}
    own = {name: head.private[name](value) for name, value in projected.items()}
    shared = {name: head.shared(value) for name, value in projected.items()}
    pairs = [(own[name], shared[name]) for name in DIMS]
    pairs += [(own[one], own[other]) for one, other in itertools.combinations(DIMS, 2)]
    masked = [batch.masks[name].all() for name in DIMS]
    assert all(masked)
    expected = torch.stack([squared_correlation(*pair) for pair in pairs]).mean()
    assert torch.allclose(head.logits_and_loss(batch)[1], expected, atol=1e-6)


def test_misa_takes_its_losses_over_clips_that_have_the_features(kit):
    torch.manual_seed(0)
    head = MISA(DIMS, 4, width=8).eval()
    batch = kit.batch(12, DIMS)
    for name in DIMS:
        batch.masks[name][4:] = False
    _, partly = head.logits_and_loss(batch)
    logits, whole = head.logits_and_loss(batch.take(range(4)))
    assert whole > 0
    assert torch.allclose(partly, whole, atol=1e-6)
    assert torch.equal(logits, head(batch.take(range(4))))
    weightless = MISA(DIMS, 4, width=8, similarity=0, difference=0, reconstruction=0)
    assert weightless.logits_and_loss(batch)[1] == 0
    nothing = batch.take([5, 6])
    assert head.logits_and_loss(nothing)[1] == 0


def test_a_crossmodal_layer_is_attention_of_the_target_over_what_is_there_of_the_source():
    torch.manual_seed(0)
    layer = CrossLayer(4, 2, 0.0).double().eval()
    target, source = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 5, 4, dtype=torch.float64)
    there = torch.tensor([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)
    got = layer(target, source, there)
    queries, keys = layer.target_norm(target[0]), layer.source_norm(source[0])[there[0]]
    weight, bias = layer.attention.in_proj_weight, layer.attention.in_proj_bias
    q = queries @ weight[:4].T + bias[:4]
    k, v = keys @ weight[4:8].T + bias[4:8], keys @ weight[8:].T + bias[8:]
    read = torch.cat(
        [(q[:, s] @ k[:, s].T / 2**0.5).softmax(dim=1) @ v[:, s] for s in (slice(0, 2), slice(2, 4))], dim=1
    )
    middle = target[0] + layer.attention.out_proj(read)
    assert torch.allclose(got[0], middle + layer.feed_forward(layer.forward_norm(middle)), atol=1e-12)
    assert torch.allclose(  # of a source that is absent nothing is read, not even a bias
        got[1], target[1] + layer.feed_forward(layer.forward_norm(target[1])), atol=1e-12
    )


def alone(head):
    """The head with attention that brings nothing: every frame goes its own way."""
    for layer in head.modules():
        if isinstance(layer, CrossLayer):
            torch.nn.init.zeros_(layer.attention.out_proj.weight)
            torch.nn.init.zeros_(layer.attention.out_proj.bias)
    return head


def frames(values):
    there = {name: torch.ones(1, dtype=torch.bool) for name in values}
    return FeatureBatch(("clip",), values, there, {}, {name: torch.tensor([3]) for name in values})


def test_mult_answers_from_the_last_frame_that_is_there():
    torch.manual_seed(0)
    head = alone(MulT({"a": 5, "b": 3}, 2, width=8, kernel=1).eval())
    values = {"a": torch.randn(1, 4, 5), "b": torch.randn(1, 4, 3)}  # the fourth is padding
    said = head(frames(values))
    for place in range(4):
        moved = {**values, "a": values["a"].clone()}
        moved["a"][0, place] += 1
        assert torch.allclose(head(frames(moved)), said) == (place != 2)


def test_mult_knows_when_a_frame_of_the_source_was():
    torch.manual_seed(0)
    head = MulT({"a": 5, "b": 3}, 2, width=8, kernel=1).eval()
    values = {"a": torch.randn(1, 3, 5), "b": torch.randn(1, 3, 3)}
    swapped = {**values, "a": values["a"][:, [1, 0, 2]]}
    assert not torch.allclose(head(frames(swapped)), head(frames(values)), atol=1e-5)


def test_positions_are_the_sines_and_cosines_of_their_paper():
    table = positions(7, 5).numpy()
    for place, column in itertools.product(range(7), range(5)):
        angle = place / 10_000 ** (2 * (column // 2) / 5)
        expected = np.sin(angle) if column % 2 == 0 else np.cos(angle)
        assert table[place, column] == pytest.approx(expected, abs=1e-5)


def test_late_fusion_is_the_mean_of_what_each_feature_says(kit):
    torch.manual_seed(0)
    head = UnimodalMLP(DIMS, 4, width=8).eval()
    batch = kit.batch(5, DIMS)
    batch.masks["b"][1] = False
    each = {name: head.networks[name](batch.values[name]) for name in DIMS}
    assert torch.allclose(head(batch)[0], (each["a"] + each["b"] + each["c"])[0] / 3, atol=1e-6)
    assert torch.allclose(head(batch)[1], (each["a"] + each["c"])[1] / 2, atol=1e-6)
