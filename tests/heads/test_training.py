"""Training is the same for one seed, chooses on validation only, and never steps on NaN."""

import importlib
from dataclasses import replace

import pytest
import torch

from emo.clip import Clip
from emo.errors import CheckpointError, ConfigError, NonFiniteLoss, StaleCache
from emo.evaluation.metrics import classification_scores
from emo.heads.batches import Source
from emo.heads.objective import class_weights
from emo.heads.splits import split_clips
from emo.heads.trained import CARD, WEIGHTS, TrainedHead
from emo.heads.training import train_head

DIMS = {"face": 4, "voice": 4}


@pytest.fixture
def task(kit):
    """Train and validation batches with labels that two features tell together."""

    def labelled(count: int, seed: int):
        batch = kit.batch(count, DIMS, seed=seed)
        code = 2 * (batch.values["face"][:, 0] > 0).long() + (batch.values["voice"][:, 0] > 0).long()
        return batch, [kit.labels[index] for index in code.tolist()]

    return (*labelled(160, 1), *labelled(60, 2))


def same(one: TrainedHead, other: TrainedHead) -> bool:
    states = (one.model.state_dict(), other.model.state_dict())
    return all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("head", ["concat", "attention"])
def test_a_head_learns_what_only_both_features_tell(kit, task, head):
    config = replace(kit.config, head=head, epochs=60, learning_rate=1e-2)
    trained = train_head(*task, kit.labels, config)
    assert max(metrics.val_weighted_f1 for metrics in trained.history) > 0.85


SEEN_HEAD = '''
from torch import nn

SEEN = []


class Seen(nn.Module):
    """One linear layer that notes which clips it was trained on, step by step."""

    def __init__(self, dims, classes, **options):
        super().__init__()
        self.layer = nn.Linear(dims["face"], classes)

    def forward(self, batch):
        if self.training:
            SEEN.append(batch.clip_ids)
        return self.layer(batch.present("face"))
'''


def test_every_epoch_sees_every_clip_once_in_an_order_of_its_own(kit, task, tmp_path, monkeypatch):
    (tmp_path / "seen_head.py").write_text(SEEN_HEAD)
    monkeypatch.syspath_prepend(tmp_path)
    config = replace(kit.config, head="seen_head:Seen", options={}, epochs=2, batch_size=64)
    train_head(*task, kit.labels, config)
    steps = [
        ids for ids in importlib.import_module("seen_head").SEEN if len(ids) > 2
    ]  # without the trial of it
    assert [len(ids) for ids in steps] == [64, 64, 32] * 2
    first, second = ([clip for ids in steps[start : start + 3] for clip in ids] for start in (0, 3))
    assert sorted(first) == sorted(second) == sorted(task[0].clip_ids)
    assert len({tuple(first), tuple(second), task[0].clip_ids}) == 3


def test_of_epochs_with_one_score_the_one_of_least_loss_is_kept(kit, task):
    train, names, val, val_names = task
    few = (train, names, val.take(range(4)), val_names[:4])  # four clips: few scores are possible
    config = replace(kit.config, select="weighted_f1", epochs=12, patience=12, learning_rate=1e-2)
    trained = train_head(*few, kit.labels, config)
    ranks = [(metrics.val_weighted_f1, -metrics.val_loss) for metrics in trained.history]
    assert len({score for score, _ in ranks}) < len(ranks)
    assert trained.best_epoch == 1 + ranks.index(max(ranks))


def test_one_seed_gives_one_head_and_leaves_the_global_state_alone(kit, task):
    config = replace(kit.config, epochs=4, modality_dropout=0.3)
    torch.manual_seed(1)
    first = train_head(*task, kit.labels, config)
    drawn = torch.rand(3)
    torch.manual_seed(2)
    second = train_head(*task, kit.labels, config)
    assert same(first, second) and first.history == second.history
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), drawn)
    assert not same(first, train_head(*task, kit.labels, replace(config, seed=5)))


def test_the_kept_state_is_the_one_that_validation_liked_best(kit, task):
    seen = []
    config = replace(kit.config, epochs=30, patience=5, learning_rate=3e-2, select="weighted_f1")
    trained = train_head(*task, kit.labels, config, on_epoch=seen.append)
    assert tuple(seen) == trained.history
    best = max(trained.history, key=lambda metrics: (metrics.val_weighted_f1, -metrics.val_loss))
    assert trained.best_epoch == best.epoch
    assert len(trained.history) == min(30, best.epoch + 5)
    kept = classification_scores(task[3], trained.predict(task[2]), kit.labels)
    assert kept.weighted_f1 == best.val_weighted_f1
    assert trained.history[-1].val_weighted_f1 != best.val_weighted_f1  # the last state is another


def test_selection_by_loss_keeps_the_epoch_of_the_lowest_loss(kit, task):
    trained = train_head(*task, kit.labels, replace(kit.config, select="loss", learning_rate=3e-2))
    lowest = min(trained.history, key=lambda metrics: metrics.val_loss)
    assert trained.best_epoch == lowest.epoch


def test_infinite_features_stop_training_before_a_step(kit, task):
    train, labels, val, val_labels = task
    poisoned = {**train.values, "face": train.values["face"].clone()}
    poisoned["face"][7, 1] = torch.inf
    with pytest.raises(NonFiniteLoss, match="no step was taken"):
        train_head(train.with_values(poisoned), labels, val, val_labels, kit.labels, kit.config)


def test_nan_of_absent_clips_does_not_change_training(kit, task):
    train, labels, val, val_labels = task
    config = replace(kit.config, epochs=3)
    train.masks["face"][:40] = False
    clean = train_head(train, labels, val, val_labels, kit.labels, config)
    train.values["face"][:40] = torch.nan
    assert same(clean, train_head(train, labels, val, val_labels, kit.labels, config))


def test_class_weights_balance_and_leave_out_classes_without_clips():
    weights = class_weights(torch.tensor([0, 0, 0, 1]), 3)
    assert weights.tolist() == pytest.approx([4 / 6, 2.0, 0.0])
    assert 3 * weights[0] == pytest.approx(1 * weights[1].item())


def test_unknown_labels_and_uneven_lengths_are_refused(kit, task):
    train, labels, val, val_labels = task
    with pytest.raises(ConfigError, match="bored"):
        train_head(train, ["bored", *labels[1:]], val, val_labels, kit.labels, kit.config)
    with pytest.raises(ConfigError, match="160 clips but 159 labels"):
        train_head(train, labels[1:], val, val_labels, kit.labels, kit.config)


@pytest.fixture
def with_sources(kit, task):
    """The task with recipes, and a batch like it of another recipe."""
    sources = {name: Source(kit.spec(name, 4), "utterance") for name in DIMS}
    train, labels, val, val_labels = task
    train, val = (replace(batch, sources=sources) for batch in (train, val))
    return train, labels, val, val_labels


@pytest.mark.parametrize("head", ["concat", "attention"])
def test_a_saved_head_answers_as_before(kit, with_sources, head, tmp_path):
    trained = train_head(*with_sources, kit.labels, replace(kit.config, head=head, epochs=3))
    trained.save(tmp_path / "run")
    loaded = TrainedHead.load(tmp_path / "run")
    val = with_sources[2]
    assert torch.equal(loaded.probabilities(val), trained.probabilities(val))
    assert loaded.predict(val) == trained.predict(val)
    assert torch.allclose(loaded.probabilities(val).sum(dim=1), torch.ones(len(val)))
    assert (loaded.labels, loaded.config, loaded.history) == (trained.labels, trained.config, trained.history)
    assert loaded.sources == trained.sources


def test_features_of_another_recipe_are_refused_unless_forced(kit, with_sources):
    trained = train_head(*with_sources, kit.labels, replace(kit.config, epochs=1))
    val = with_sources[2]
    other = replace(
        val, sources={**val.sources, "face": Source(kit.spec("face", 4, recipe={"layer": -2}), "utterance")}
    )
    with pytest.raises(StaleCache, match=r"face: .* Different: recipe\."):
        trained.predict(other)
    pooled = replace(val, sources={**val.sources, "voice": Source(kit.spec("voice", 4), "frames:mean")})
    with pytest.raises(StaleCache, match=r"voice: .* Different: array\."):
        trained.predict(pooled)
    with pytest.raises(StaleCache, match="does not say how its features were made"):
        trained.predict(replace(val, sources={}))
    assert trained.predict(other, force=True) == trained.predict(val)


def test_another_preset_name_for_the_same_recipe_is_accepted(kit, with_sources):
    trained = train_head(*with_sources, kit.labels, replace(kit.config, epochs=1))
    val = with_sources[2]
    renamed = {name: Source(kit.spec(name, 4, preset="other"), "utterance") for name in DIMS}
    assert trained.predict(replace(val, sources=renamed)) == trained.predict(val)


def test_a_file_does_not_decide_what_is_imported(kit, with_sources, tmp_path):
    trained = train_head(*with_sources, kit.labels, replace(kit.config, epochs=1))
    replace(trained, config=replace(trained.config, head="antigravity:Head")).save(tmp_path)
    with pytest.raises(CheckpointError, match="head='antigravity:Head'"):
        TrainedHead.load(tmp_path)


def test_damaged_and_missing_heads_are_refused(kit, with_sources, tmp_path):
    with pytest.raises(CheckpointError, match="not a trained head"):
        TrainedHead.load(tmp_path)
    trained = train_head(*with_sources, kit.labels, replace(kit.config, epochs=1))
    trained.save(tmp_path)
    card = (tmp_path / CARD).read_text()
    (tmp_path / CARD).write_text(card.replace('"width": 16', '"width": 8'))
    with pytest.raises(CheckpointError, match="does not fit"):
        TrainedHead.load(tmp_path)
    (tmp_path / CARD).write_text(card.replace('"labels"', '"names"'))
    with pytest.raises(CheckpointError, match="incomplete"):
        TrainedHead.load(tmp_path)
    (tmp_path / CARD).write_text(card)
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes()[:-20])
    with pytest.raises(CheckpointError, match="not a trained head"):
        TrainedHead.load(tmp_path)


def test_validation_is_cut_by_speaker_and_never_from_test(kit):
    clips = kit.clips(120, split="train") + [
        Clip(clip_id=f"t{index}", path="t.mp4", label="sad", speaker="s0", split="test") for index in range(9)
    ]
    splits = split_clips(clips, val_share=0.25, seed=0)
    train_speakers, val_speakers = ({clip.speaker for clip in part} for part in (splits.train, splits.val))
    assert splits.held_out and not train_speakers & val_speakers
    assert 15 <= len(splits.val) <= 45
    assert {clip.clip_id for clip in splits.test} == {f"t{index}" for index in range(9)}
    assert splits.shared_speakers == {"s0"}
    assert splits == split_clips(clips, val_share=0.25, seed=0)
    assert splits != split_clips(clips, val_share=0.25, seed=1)


def test_a_validation_split_of_the_manifest_is_taken_as_it_is(kit):
    clips = [*kit.clips(20, split="train"), Clip(clip_id="v", path="v.mp4", label="sad", split="dev")]
    splits = split_clips(clips, val_share=0.2, seed=0)
    assert [clip.clip_id for clip in splits.val] == ["v"] and not splits.held_out


def test_unlabelled_clips_and_a_single_speaker_are_named(kit):
    with pytest.raises(ConfigError, match="none of 1 clips"):
        split_clips([Clip(clip_id="a", path="a.mp4")], val_share=0.2, seed=0)
    with pytest.raises(ConfigError, match="all 5 training clips are of one speaker"):
        split_clips(kit.clips(5, speakers=1), val_share=0.2, seed=0)
