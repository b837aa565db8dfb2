"""Scoring equals a forward per label; a batch of N answers as N batches of one."""

import pytest
import torch
from torch.testing import assert_close

from emo.errors import ConfigError
from emo.labels import MER2023
from emo.llm.examples import ask, question
from emo.llm.generation import generate, greedy_steps
from emo.llm.prompts import TEMPLATES
from emo.llm.scoring import candidates, label_log_likelihoods

LONG_LABELS = ("happy", "happy and calm", "the face is still", "sad")


@pytest.fixture
def asked(texts):
    """Prompts of different lengths."""
    clips = [texts[0], texts[7], texts[14]]
    return [ask(TEMPLATES["emo"], question(clip, "emotion", MER2023)) for clip in clips]


@pytest.fixture
def three(batch):
    features = batch.take([0, 7, 14])
    features.masks["eva"][1] = False
    return features


@torch.no_grad()
def by_one_forward_each(model, prompts, features, answers):
    scores = torch.zeros(len(prompts), len(answers))
    for row, prompt in enumerate(prompts):
        for column, answer in enumerate(answers):
            spliced = model.embed([prompt], features.take([row]), [answer])
            scores[row, column] = -model.answer_loss(spliced).total
    return scores


@pytest.mark.parametrize("labels", [MER2023, LONG_LABELS], ids=["single tokens", "several tokens"])
def test_scores_equal_a_whole_forward_for_each_label(model, asked, three, labels):
    scores = label_log_likelihoods(model, asked, three, labels)
    expected = by_one_forward_each(model, asked, three, candidates(model.codec, labels))
    assert_close(scores, expected, rtol=0, atol=1e-4)


def test_the_end_token_counts_where_one_label_begins_another(model):
    ended = candidates(model.codec, LONG_LABELS)
    assert all(ids[-1] == model.codec.eos for ids in ended)
    assert all(len(ids) == 1 for ids in candidates(model.codec, MER2023))


def test_equal_labels_are_refused(model):
    with pytest.raises(ConfigError, match="same tokens"):
        candidates(model.codec, ("happy", "happy"))


def test_a_batch_scores_as_its_clips_do_alone(model, asked, three):
    together = label_log_likelihoods(model, asked, three, LONG_LABELS)
    alone = [
        label_log_likelihoods(model, [prompt], three.take([row]), LONG_LABELS)
        for row, prompt in enumerate(asked)
    ]
    assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)


def test_a_batch_generates_as_its_clips_do_alone(model, asked, three):
    together = generate(model, asked, three, 12)
    alone = [generate(model, [prompt], three.take([row]), 12)[0] for row, prompt in enumerate(asked)]
    assert together == alone
    assert len(set(together)) > 1


def test_generation_follows_the_whole_forward(model, asked, three):
    """Step by step with a cache gives what reading everything again would give."""
    steps = torch.stack(list(greedy_steps(model, asked[:1], three.take([0]), 6)), dim=1)[0].tolist()
    for place, chosen in enumerate(steps):
        spliced = model.embed(asked[:1], three.take([0]), [tuple(steps[:place])])
        with torch.no_grad():
            assert int(model.logits(model.hidden(spliced)[0, -1]).argmax()) == chosen


def test_rows_end_on_their_own(model, asked, three, monkeypatch):
    """The first row is made to end at once; the others go on unchanged."""
    free = torch.stack(list(greedy_steps(model, asked, three, 5)), dim=1)
    monkeypatch.setattr(model.codec, "eos", int(free[0, 0]))
    ended = torch.stack(list(greedy_steps(model, asked, three, 5)), dim=1)
    assert set(ended[0].tolist()) == {int(free[0, 0])}
    for row in (1, 2):
        kept = free[row].tolist()
        stop = kept.index(model.codec.eos) if model.codec.eos in kept else len(kept)
        assert ended[row].tolist()[:stop] == kept[:stop]


def test_the_feature_decides_the_score(model, asked, three):
    """Other features under the same words give other scores."""
    swapped = three.take([1, 2, 0])
    before = label_log_likelihoods(model, asked, three, MER2023)
    after = label_log_likelihoods(model, asked, swapped, MER2023)
    assert not torch.allclose(before, after)
