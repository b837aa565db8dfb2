"""What training can aim at beside the label: valence, votes, answers that a small move leaves alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from emo.errors import ConfigError
from emo.heads.adversarial import virtual_adversarial_loss, worst_direction
from emo.heads.models import make_head
from emo.heads.objective import Objective, Targets, squared_error
from emo.heads.ratings import Ratings
from emo.heads.runs import run_head, write_run
from emo.heads.trained import TrainedHead
from emo.heads.training import train_head

DIMS = {"face": 4, "voice": 4}
NAMES = ("neutral", "angry", "happy", "sad")


class Softmax(nn.Module):
    """One linear layer over all features, whose divergence has a known shape."""

    def __init__(self, classes=3):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(8, classes)

    def forward(self, batch):
        return self.layer(torch.cat([batch.present(name) for name in batch.names], dim=1))


def test_the_worst_direction_is_the_first_eigenvector_of_the_divergence(kit):
    model, batch = Softmax(), kit.batch(1, DIMS)
    clean = model(batch).log_softmax(dim=1).detach()
    weight, p = model.layer.weight.detach().numpy(), clean.exp()[0].numpy()
    curvature = weight.T @ (np.diag(p) - np.outer(p, p)) @ weight  # Hessian of the divergence at 0
    values = np.linalg.eigvalsh(curvature)
    ratios = []
    for seed in range(20):
        found = worst_direction(model, batch, 3, clean, torch.Generator().manual_seed(seed))
        direction = torch.cat(list(found.values()), dim=1)[0].numpy()
        assert np.linalg.norm(direction) == pytest.approx(1, abs=1e-5)
        ratios.append(direction @ curvature @ direction / values[-1])
    assert np.median(ratios) > 0.7 and max(ratios) < 1 + 1e-5
    random = np.random.default_rng(0).normal(size=(200, 8))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    assert np.median(ratios) > np.quantile(
        np.einsum("ri,ij,rj->r", random, curvature, random) / values[-1], 0.9
    )


def test_the_adversarial_loss_is_a_divergence_of_moves_of_the_given_length(kit):
    model, batch = Softmax(), kit.batch(6, DIMS)
    generator = torch.Generator().manual_seed(1)
    losses = [
        virtual_adversarial_loss(model, batch, 3, radius, generator.manual_seed(1)).item()
        for radius in (0.0, 0.1, 0.2, 1.0)
    ]
    assert losses[0] == pytest.approx(0, abs=1e-6)
    assert losses[1] < losses[2] < losses[3]
    assert losses[2] / losses[1] == pytest.approx(4, rel=0.1)  # quadratic near 0
    assert model.training


def test_masked_features_are_neither_moved_nor_read(kit):
    torch.manual_seed(0)
    head = make_head("attention", DIMS, 4, width=8)
    batch = kit.batch(8, DIMS)
    batch.masks["face"][:4] = False
    losses = []
    for filler in (0.0, torch.nan):
        values = {name: value.clone() for name, value in batch.values.items()}
        values["face"][:4] = filler
        generator = torch.Generator().manual_seed(3)
        loss = virtual_adversarial_loss(head, batch.with_values(values), 4, 1.0, generator)
        head.zero_grad()
        loss.backward()
        losses.append([loss.item(), *(p.grad.sum().item() for p in head.parameters() if p.grad is not None)])
    assert losses[0] == losses[1] and np.isfinite(losses[0]).all()


def test_votes_that_agree_are_the_label_and_others_are_shared():
    ratings = Ratings(votes={"a": {"happy": 5}, "b": {"happy": 6, "sad": 2, "bored": 9}, "d": {"bored": 3}})
    shares = ratings.shares(("a", "b", "c", "d"), ("happy", "happy", "sad", "angry"), NAMES)
    assert shares.tolist() == [[0, 0, 1, 0], [0, 0, 0.75, 0.25], [0, 0, 0, 1], [0, 1, 0, 0]]
    with pytest.raises(ConfigError, match="none of 1 clips has votes"):
        ratings.shares(("z",), ("sad",), NAMES)
    with pytest.raises(ConfigError, match=r"clip 'a' has votes \{'sad': -1\}"):
        Ratings(votes={"a": {"sad": -1}}).shares(("a",), ("sad",), NAMES)


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0, 1.0, 0.7])])
def test_the_loss_of_votes_that_agree_is_the_cross_entropy_of_labels(weights):
    torch.manual_seed(0)
    logits, classes = torch.randn(9, 4), torch.arange(9) % 4
    objective = Objective(4, weights, 0.1, 0.0)
    hard = objective(logits, Targets(classes))
    soft = objective(logits, Targets(classes, functional.one_hot(classes, 4).float()))
    assert soft.item() == pytest.approx(hard.item(), rel=1e-6)


def test_the_loss_of_votes_is_their_expected_surprise():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    shares = torch.tensor([[0.5, 0.5, 0, 0]]).repeat(5, 1)
    surprise = -torch.log(torch.exp(logits) / torch.exp(logits).sum(dim=1, keepdim=True))
    expected = (surprise[:, 0] / 2 + surprise[:, 1] / 2).mean()
    got = Objective(4, None, 0.0, 0.0)(logits, Targets(torch.zeros(5, dtype=torch.long), shares))
    assert got.item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_valence_adds_its_squared_error_over_the_clips_that_have_one():
    outputs = torch.zeros(3, 5)
    outputs[:, 4] = torch.tensor([1.0, 2.0, 9.0])
    valence = torch.tensor([0.0, 4.0, torch.nan])
    classes = torch.zeros(3, dtype=torch.long)
    plain = Objective(4, None, 0.0, 0.0)(outputs, Targets(classes))
    with_it = Objective(4, None, 0.0, 2.0)(outputs, Targets(classes, valence=valence))
    assert with_it.item() == pytest.approx(plain.item() + 2 * (1 + 4) / 2)
    assert squared_error(torch.zeros(1), torch.tensor([torch.nan])) == 0


@pytest.fixture
def rated(kit):
    """Clips whose valence is their label's and whose spaces tell the label."""
    clips = [
        replace(clip, split=("train", "train", "val", "test")[index % 4])
        for index, clip in enumerate(kit.clips(160, speakers=160))
    ]
    number = {"neutral": 0.0, "angry": -2.0, "happy": 2.0, "sad": -1.0}
    valence = {clip.clip_id: number[clip.label] for clip in clips}
    return clips, Ratings(valence=valence, votes={clip.clip_id: {clip.label: 10} for clip in clips})


def test_a_head_learns_the_valence_and_says_the_combined_score(kit, rated, tmp_path):
    clips, ratings = rated
    config = replace(kit.config, valence=1.0, epochs=15, patience=15, learning_rate=2e-2, select="combined")
    run = run_head(clips, kit.spaces(clips), kit.labels, config, ratings=ratings)
    scores = {each.metric: each.point for each in run.combined.scores}
    assert scores["mse"] < 1.0  # the variance of these valences is 2.2
    assert scores["combined"] == pytest.approx(scores["weighted_f1"] - 0.25 * scores["mse"])
    best = max(run.trained.history, key=lambda m: (m.val_weighted_f1 - 0.25 * m.val_mse, -m.val_loss))
    assert run.trained.best_epoch == best.epoch
    write_run(run, tmp_path)
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written["combined"]["scores"]["mse"]["value"] == scores["mse"]
    assert set(written["valence"]) == {clip.clip_id for clip in clips if clip.split == "test"}
    loaded = TrainedHead.load(tmp_path)
    assert len(loaded.labels) == 4 and loaded.config.valence == 1.0


def test_ratings_that_nobody_gave_are_refused(kit, rated):
    clips, _ = rated
    spaces = kit.spaces(clips)
    with pytest.raises(ConfigError, match=r"has a valence\. Add a column `valence`"):
        run_head(clips, spaces, kit.labels, replace(kit.config, valence=1.0))
    with pytest.raises(ConfigError, match=r"has votes\. Add a column `votes`"):
        run_head(clips, spaces, kit.labels, replace(kit.config, soft_labels=True))
    with pytest.raises(ConfigError, match="select combined needs a valence"):
        run_head(clips, spaces, kit.labels, replace(kit.config, select="combined"))


def test_training_on_votes_and_against_an_adversary_is_the_same_for_one_seed(kit):
    batch = kit.batch(40, DIMS)
    names = [NAMES[row % 4] for row in range(40)]
    votes = {clip_id: {name: 3, "sad": 1} for clip_id, name in zip(batch.clip_ids, names, strict=True)}
    config = replace(kit.config, epochs=2, vat=0.5, soft_labels=True)
    several = [
        train_head(batch, names, batch, names, NAMES, one, ratings=Ratings(votes=votes))
        for one in (config, config, replace(config, vat=0.0), replace(config, soft_labels=False))
    ]
    losses = [[metrics.train_loss for metrics in trained.history] for trained in several]
    assert losses[0] == losses[1] and losses[0] != losses[2] and losses[0] != losses[3]


def test_the_losses_of_misa_are_part_of_its_training(kit):
    batch = kit.batch(40, DIMS)
    names = [NAMES[row % 4] for row in range(40)]
    off = {"similarity": 0.0, "difference": 0.0, "reconstruction": 0.0}
    losses = [
        train_head(
            batch, names, batch, names, NAMES, replace(kit.config, epochs=1, head="misa", options=options)
        )
        .history[0]
        .train_loss
        for options in ({"width": 8}, {"width": 8, **off})
    ]
    assert losses[0] > losses[1]


def test_the_best_features_are_those_that_are_best_alone_on_validation_clips(kit):
    rng = np.random.default_rng(0)
    clips = [replace(clip, split=("train", "val", "test")[i % 3]) for i, clip in enumerate(kit.clips(180))]
    spaces = kit.spaces(clips)
    for name in ("noise", "more"):
        space = spaces[name] = kit.space(kit.spec(name, 6))
        for record in spaces["face"].records.values():
            arrays = {"utterance": rng.normal(size=6).astype(np.float32), "frames": record.arrays["frames"]}
            space.records[record.clip_id] = replace(record, arrays=arrays)
    spaces = {name: spaces[name] for name in ("noise", "voice", "more", "face")}
    config = replace(kit.config, head="attention-topn", top=2, learning_rate=1e-2)
    run = run_head(clips, spaces, kit.labels, config)
    assert tuple(run.trained.dims) == tuple(run.trained.sources) == ("voice", "face")
    lies = [replace(clip, label="sad") if clip.split == "test" else clip for clip in clips]
    assert tuple(run_head(lies, spaces, kit.labels, config).trained.dims) == ("voice", "face")
