"""Scoring equals a forward per label; a batch of N answers as N batches of one."""

import pytest
import torch
from torch.testing import assert_close

from emo.config.decoding import Decoding
from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch
from emo.labels import MER2023
from emo.llm import generation
from emo.llm.embeddings import prompt_embeddings
from emo.llm.examples import ask, question
from emo.llm.generation import Step, generate, stream, token_steps
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


def steps_of(model, prompts, features, **settings):
    """Ids (B, S) and the model's log-probabilities of them."""
    steps = list(token_steps(model, prompts, features, Decoding(**settings)))
    return tuple(torch.stack(list(column), dim=1) for column in zip(*steps, strict=True))


DECODINGS = {
    "greedy": {},
    "penalised": {"repetition_penalty": 1.3},
    "sampled": {"temperature": 0.9, "top_p": 0.9, "repetition_penalty": 1.05, "seed": 3},
}


@pytest.mark.parametrize("settings", DECODINGS.values(), ids=DECODINGS.keys())
def test_a_batch_generates_as_its_clips_do_alone(model, asked, three, settings):
    """Ragged prompts, one clip without EVA: the same tokens with the same probabilities, up to each end."""
    ids, likely = steps_of(model, asked, three, max_new_tokens=12, **settings)
    assert len({tuple(row) for row in ids.tolist()}) == len(asked)
    for row, prompt in enumerate(asked):
        own, own_likely = steps_of(model, [prompt], three.take([row]), max_new_tokens=12, **settings)
        count = own.shape[1]
        assert own[0].tolist() == ids[row, :count].tolist()
        assert_close(own_likely[0], likely[row, :count], rtol=0, atol=1e-4)


def test_generation_follows_the_whole_forward(model, asked, three):
    """Step by step with a cache gives what reading everything again would give."""
    ids, likely = steps_of(model, asked[:1], three.take([0]), max_new_tokens=6)
    for place, (chosen, value) in enumerate(zip(ids[0].tolist(), likely[0].tolist(), strict=True)):
        spliced = model.embed(asked[:1], three.take([0]), [tuple(ids[0, :place].tolist())])
        with torch.no_grad():
            expected = model.logits(model.hidden(spliced)[0, -1]).log_softmax(-1)
        assert int(expected.argmax()) == chosen
        assert float(expected[chosen]) == pytest.approx(value, abs=1e-4)


def test_the_answer_embedding_predicts_the_first_token(model, asked, three):
    """Whatever the length of its prompt: the vector is that of the last real token."""
    found = prompt_embeddings(model, TEMPLATES["emo"], asked, three)
    tokens, logs = steps_of(model, asked, three, max_new_tokens=1)
    with torch.no_grad():
        predicted = model.logits(found.answer).log_softmax(-1)
    assert_close(predicted.argmax(-1), tokens[:, 0])
    assert_close(predicted.amax(-1), logs[:, 0], rtol=0, atol=1e-5)


def test_rows_end_on_their_own(model, asked, three, monkeypatch):
    """The first row is made to end at once; the others go on unchanged."""
    free, _ = steps_of(model, asked, three, max_new_tokens=5)
    monkeypatch.setattr(model.codec, "eos", int(free[0, 0]))
    ended, _ = steps_of(model, asked, three, max_new_tokens=5)
    assert set(ended[0].tolist()) == {int(free[0, 0])}
    for row in (1, 2):
        kept = free[row].tolist()
        stop = kept.index(model.codec.eos) if model.codec.eos in kept else len(kept)
        assert ended[row].tolist()[:stop] == kept[:stop]


def test_greedy_is_the_default_and_a_cold_sample_is_greedy(model, asked, three):
    greedy = generate(model, asked, three, Decoding(max_new_tokens=8))
    cold = Decoding(max_new_tokens=8, temperature=1e-4)
    narrow = Decoding(max_new_tokens=8, temperature=1.0, top_p=1e-6)
    assert generate(model, asked, three, cold) == generate(model, asked, three, narrow) == greedy


def test_samples_depend_on_the_seed_and_repeat_with_it(model, asked, three):
    def sample(seed):
        return generate(model, asked, three, Decoding(max_new_tokens=8, temperature=1.5, seed=seed))

    assert sample(0) == sample(0) != sample(1)


def test_samples_follow_the_model_and_stay_in_the_nucleus(model, asked, three):
    """First tokens of many clips with one prompt: shares as the model gives them, none outside top_p."""
    count = 400
    row = three.take([0] * count)
    many = FeatureBatch(tuple(f"copy{number}" for number in range(count)), row.values, row.masks)
    first, _ = steps_of(model, [asked[0]] * count, many, max_new_tokens=1, temperature=1.0, top_p=0.8)
    with torch.no_grad():
        spliced = model.embed(asked[:1], three.take([0]))
        shares = model.logits(model.hidden(spliced)[0, -1]).softmax(-1)
    order = shares.argsort(descending=True)
    before = shares[order].cumsum(0) - shares[order]
    nucleus = order[before < 0.8]
    assert set(first[:, 0].tolist()) <= set(nucleus.tolist())
    top = int(nucleus[0])
    expected = float(shares[top] / shares[nucleus].sum())
    drawn = (first[:, 0] == top).float().mean().item()
    assert drawn == pytest.approx(expected, abs=4 * (expected * (1 - expected) / count) ** 0.5)


def test_the_penalty_keeps_tokens_from_coming_again(model, asked, three):
    plain, _ = steps_of(model, asked, three, max_new_tokens=20)
    penalised, _ = steps_of(model, asked, three, max_new_tokens=20, repetition_penalty=50.0)

    def repeats(ids):
        return sum(len(row) - len(set(row)) for row in ids.tolist())

    assert repeats(penalised) < repeats(plain)


@pytest.mark.parametrize(
    "wrong", [{"max_new_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"repetition_penalty": 0.0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Decoding(**wrong)


@pytest.mark.parametrize("settings", DECODINGS.values(), ids=DECODINGS.keys())
def test_a_stream_is_the_answer_in_pieces(model, asked, three, settings):
    decoding = Decoding(max_new_tokens=20, **settings)
    whole = generate(model, asked, three, decoding)
    pieces = [list(stream(model, asked[row], three.take([row]), decoding)) for row in range(3)]
    assert ["".join(row) for row in pieces] == whole
    assert max(map(len, pieces)) > 5


def test_a_character_of_several_tokens_comes_whole(model, asked, three, monkeypatch):
    """Bytes of "é" and of an emoji come one token each; no piece holds half a character."""
    letters = "é so 🙂 ok"
    table = list(letters.encode())

    def decode(ids, **_):
        return bytes(table[place] for place in ids).decode(errors="replace")

    def in_order(*_):
        for place in range(len(table)):
            yield Step(torch.tensor([place]), torch.zeros(1))

    monkeypatch.setattr(model.codec.tokenizer, "decode", decode)
    monkeypatch.setattr(model.codec, "eos", -1)
    monkeypatch.setattr(generation, "token_steps", in_order)
    pieces = list(stream(model, asked[0], three.take([0]), Decoding()))
    assert "".join(pieces) == letters
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    assert len(pieces) == 6


def test_the_feature_decides_the_score(model, asked, three):
    """Other features under the same words give other scores."""
    swapped = three.take([1, 2, 0])
    before = label_log_likelihoods(model, asked, three, MER2023)
    after = label_log_likelihoods(model, asked, swapped, MER2023)
    assert not torch.allclose(before, after)
