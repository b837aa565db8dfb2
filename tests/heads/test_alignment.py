"""Aligned projectors: the loss is the one written down, absent features count for nothing, and what was
trained comes back from the disk with its words."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from emo.config.projector import ProjectorConfig
from emo.errors import CheckpointError, ConfigError, StaleCache
from emo.heads.aligned import CARD, TENSORS, AlignedProjectors, Receiver, alignment
from emo.heads.aligning import Clips, align
from emo.heads.alignment import UNKNOWN, Told, contrast
from emo.heads.batches import FeatureBatch, Source
from emo.heads.standardise import Standardiser
from emo.spec import ArrayLayout, FeatureSpec

DIMS = {"hubert": 6, "mae": 5, "eva": 4}
SLOTS = ("eva_patches", "mae", "videomae", "hubert", "eva_class")
LABELS = ("neutral", "angry", "happy", "sad")
WORDS = torch.randn(len(LABELS), 8, generator=torch.Generator().manual_seed(9))
CONFIG = ProjectorConfig(epochs=30, patience=30, batch_size=16, learning_rate=1e-2)


def source_of(name, version=1):
    layout = ArrayLayout(kind="tokens" if name == "eva" else "utterance", dim=DIMS[name], tokens=9)
    array = "tokens" if name == "eva" else "utterance"
    spec = FeatureSpec(encoder=name, weights={}, recipe={}, recipe_version=version, arrays={array: layout})
    return Source(spec, array)


def make_batch(count, seed=0, signal=1.5):
    """Every feature is the label's own direction plus noise; labels take turns."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.Generator().manual_seed(5)
    places = torch.arange(count) % len(LABELS)
    values = {}
    for name, dim in DIMS.items():
        shape = (count, 9, dim) if name == "eva" else (count, dim)
        meant = torch.randn(len(LABELS), dim, generator=directions)[places] * signal
        values[name] = torch.randn(shape, generator=generator) + (
            meant.unsqueeze(1) if name == "eva" else meant
        )
    masks = {name: torch.ones(count, dtype=torch.bool) for name in DIMS}
    names = tuple(f"clip{number}" for number in range(count))
    return FeatureBatch(names, values, masks, {name: source_of(name) for name in DIMS}), places


def fresh(config=CONFIG, batch=None):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = alignment(SLOTS, DIMS, 8, config)
    return AlignedProjectors(
        model=model,
        slots=tuple(model.projectors),
        labels=LABELS,
        words=WORDS,
        centre=WORDS.mean(dim=0),
        dims=DIMS,
        sources={name: source_of(name) for name in DIMS},
        standardiser=Standardiser.fit(batch or make_batch(40)[0]),
        receiver=Receiver(reference="somewhere/llama", digest="0" * 64, hidden=8),
        config=config,
    )


def told_of(places, captions=None):
    count = len(places)
    written = torch.zeros(count, 8) if captions is None else captions
    there = torch.full((count,), captions is not None)
    return Told(places, written, there, torch.arange(count))


@pytest.fixture(scope="module")
def trained():
    batch, places = make_batch(40)
    val, val_places = make_batch(16, seed=1)
    made = fresh(batch=batch)
    course = align(
        made.model,
        Clips(made.condensed(batch), told_of(places)),
        Clips(made.condensed(val), told_of(val_places)),
        made.words - made.centre,
        LABELS,
        CONFIG,
    )
    return replace(made, history=course.history, best_epoch=course.best_epoch)


def test_training_brings_clips_of_new_noise_to_the_words_of_their_label(trained):
    batch, places = make_batch(40, seed=2)
    right = (trained.logits(batch).argmax(dim=1) == places).float().mean()
    assert right > 0.9
    assert trained.history[trained.best_epoch - 1].val_loss == min(one.val_loss for one in trained.history)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_state(trained):
    batch, places = make_batch(40)
    state = torch.get_rng_state()
    made = fresh(batch=batch)
    val, val_places = make_batch(16, seed=1)
    align(
        made.model,
        Clips(made.condensed(batch), told_of(places)),
        Clips(made.condensed(val), told_of(val_places)),
        made.words - made.centre,
        LABELS,
        CONFIG,
    )
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in made.model.state_dict().items():
        assert torch.equal(value, trained.model.state_dict()[name]), name


def test_the_loss_is_infonce_over_labels_and_captions_of_every_slot_and_of_all(trained):
    batch, places = make_batch(6, seed=3)
    captions = torch.randn(6, 8, generator=torch.Generator().manual_seed(4))
    model, condensed = trained.model, trained.condensed(batch)
    vectors, _ = model.slot_vectors(condensed)
    scale = model.log_scale.exp()
    expected = []
    for view in (vectors.mean(dim=1), *vectors.unbind(dim=1)):
        unit = functional.normalize(view, dim=1)
        labels = scale * unit @ functional.normalize(WORDS, dim=1).T
        pairs = scale * unit @ functional.normalize(captions, dim=1).T
        own = torch.arange(6)
        both = (functional.cross_entropy(pairs, own) + functional.cross_entropy(pairs.T, own)) / 2
        expected.append(functional.cross_entropy(labels, places) + 0.5 * both)
    found = model.loss(condensed, told_of(places, captions), WORDS, 0.5)
    torch.testing.assert_close(found, torch.stack(expected).mean())


def test_clips_of_one_caption_are_not_told_apart():
    scores = torch.zeros(3, 3)
    scores[0, 1] = scores[1, 0] = 5.0  # clip 0 looks like the caption of clip 1, which is its own too
    alike = contrast(scores, torch.tensor([0, 0, 1]))
    assert alike < contrast(scores, torch.tensor([0, 1, 2]))


def test_a_clip_without_label_or_caption_teaches_nothing(trained):
    batch, places = make_batch(6, seed=3)
    part = torch.cat([places[:3], torch.full((3,), UNKNOWN)])
    whole = trained.model.loss(trained.condensed(batch), told_of(part), WORDS, 0.5)
    three = trained.model.loss(trained.condensed(batch.take([0, 1, 2])), told_of(places[:3]), WORDS, 0.5)
    torch.testing.assert_close(whole, three)
    nothing = told_of(torch.full((6,), UNKNOWN))
    assert trained.model.loss(trained.condensed(batch), nothing, WORDS, 0.5) == 0.0


def test_a_missing_feature_is_not_read_and_a_clip_without_any_gets_equal_scores(trained):
    batch, _ = make_batch(3, seed=3)
    masks = {name: torch.tensor([True, name != "mae", False]) for name in DIMS}
    values = {name: value.clone() for name, value in batch.values.items()}
    values["mae"][1] = torch.nan
    for value in values.values():
        value[2] = torch.nan
    scores = trained.logits(FeatureBatch(batch.clip_ids, values, masks, batch.sources))
    assert torch.isfinite(scores).all()
    assert torch.equal(scores[2], torch.zeros(len(LABELS)))
    torch.testing.assert_close(scores[0], trained.logits(batch)[0])
    assert not torch.allclose(scores[1], trained.logits(batch)[1], atol=1e-3)


def test_rescaling_gives_the_spread_of_words_and_moves_no_score(trained):
    batch, _ = make_batch(40)
    before = trained.logits(batch)
    trained = replace(trained, model=deepcopy(trained.model))
    trained.model.rescale(trained.condensed(batch), 0.37)
    vectors, _ = trained.model.slot_vectors(trained.condensed(batch))
    assert float(vectors.square().mean().sqrt()) == pytest.approx(0.37, rel=1e-4)
    torch.testing.assert_close(trained.logits(batch), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "config", [CONFIG, replace(CONFIG, kinds={"mae": "mlp", "eva_patches": "attention"}, fusion=True)]
)
def test_what_is_saved_answers_the_same_and_nothing_is_pickled(config, tmp_path):
    made = fresh(config)
    batch, _ = make_batch(5)
    made.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    loaded = AlignedProjectors.load(tmp_path)
    assert torch.equal(loaded.logits(batch), made.logits(batch))
    assert (loaded.labels, loaded.receiver, loaded.sources) == (made.labels, made.receiver, made.sources)


def test_a_changed_file_and_a_folder_of_something_else_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="emo train-head projector"):
        AlignedProjectors.load(tmp_path)
    fresh().save(tmp_path)
    data = bytearray((tmp_path / TENSORS).read_bytes())
    data[-1] ^= 1
    (tmp_path / TENSORS).write_bytes(data)
    with pytest.raises(CheckpointError, match="has changed"):
        AlignedProjectors.load(tmp_path)
    (tmp_path / CARD).write_text("[]")
    with pytest.raises(CheckpointError):
        AlignedProjectors.load(tmp_path)


def test_features_of_another_recipe_are_refused_unless_forced(trained):
    batch, _ = make_batch(3)
    other = replace(batch, sources={**batch.sources, "mae": source_of("mae", version=2)})
    with pytest.raises(StaleCache, match=r"mae: .*Different: recipe_version"):
        trained.logits(other)
    assert torch.equal(trained.logits(other, force=True), trained.logits(batch))


def test_other_labels_are_scored_by_their_words(trained):
    batch, _ = make_batch(12, seed=2)
    turned = trained.relabelled(LABELS[::-1], WORDS.flip(0))
    torch.testing.assert_close(turned.logits(batch), trained.logits(batch).flip(1))
    with pytest.raises(ConfigError, match="3 labels need vectors of 8 numbers"):
        trained.relabelled(LABELS[:3], WORDS)


def test_a_split_of_which_nothing_is_told_is_refused(trained):
    batch, places = make_batch(4)
    clips = Clips(trained.condensed(batch), told_of(places))
    silent = Clips(clips.batch, told_of(torch.full((4,), UNKNOWN)))
    with pytest.raises(ConfigError, match="4 validation clips, none of them with one of the labels"):
        align(fresh().model, clips, silent, WORDS, LABELS, CONFIG)
