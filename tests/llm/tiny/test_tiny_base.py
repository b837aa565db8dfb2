"""The tiny base: a real LLaMA directory, the same by seed, whose documents cannot be answered from words."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from emo.errors import ConfigError
from emo.labels import MER2023
from emo.llm.base import load_base
from emo.llm.prompts import TEMPLATES
from emo.llm.tiny.base import CARD, make_tiny_base
from emo.llm.tiny.documents import ClueWriter
from emo.llm.tiny.tokenizer import train_tokenizer
from emo.llm.training.events import BaseProgress
from emo.run_clips import NAME, runs_with


@pytest.fixture
def writer(texts):
    return ClueWriter(texts, MER2023, TEMPLATES["emo"], purity=0.5, most=8)


def test_it_is_a_llama_directory_that_says_what_it_is(texts, tiny_settings, tmp_path):
    events = list(make_tiny_base(texts, MER2023, tmp_path, tiny_settings))
    assert [event.phase for event in events] == ["documents", "tokenizer", *["pre-training"] * 3]
    assert events[-1] == BaseProgress("pre-training", 3, 3, events[-1].loss)
    base = load_base(str(tmp_path))
    assert type(base.llama).__name__ == "LlamaForCausalLM"
    assert not any(value.requires_grad for value in base.llama.parameters())
    assert "not a language model" in json.loads((tmp_path / CARD).read_text())["what"]


def test_a_base_of_the_same_documents_is_kept(texts, tiny_settings, tmp_path):
    def phases(texts):
        return {event.phase for event in make_tiny_base(texts, MER2023, tmp_path, tiny_settings)}

    assert "pre-training" in phases(texts)
    assert phases(texts) == {"documents"}
    assert "pre-training" in phases([replace(text, text="It rains.") for text in texts])


def test_it_names_the_clips_whose_texts_it_has_read(texts, tiny_settings, tmp_path):
    ids = sorted(text.clip_id for text in texts)

    def make(texts):
        list(make_tiny_base(texts, MER2023, tmp_path / "base", tiny_settings))
        return dict(runs_with(tmp_path, ids))

    assert make(texts) == {tmp_path / "base": ids}
    (tmp_path / "base" / NAME).unlink()
    assert make(texts) == {tmp_path / "base": ids}
    assert make(sorted(texts, key=lambda text: text.clip_id)[1:]) == {tmp_path / "base": ids[1:]}


def test_the_same_seed_gives_the_same_weights(texts, tiny_settings, tmp_path):
    for name, noise in (("a", 0), ("b", 1)):
        torch.manual_seed(noise)
        list(make_tiny_base(texts, MER2023, tmp_path / name, tiny_settings))
    list(make_tiny_base(texts, MER2023, tmp_path / "c", replace(tiny_settings, seed=1)))
    digests = [load_base(str(tmp_path / name)).digest for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_the_global_random_state_is_left_alone(texts, tiny_settings, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    list(make_tiny_base(texts, MER2023, tmp_path, tiny_settings))
    assert torch.equal(torch.rand(3), expected)


def test_documents_have_words_where_features_will_stand(writer):
    known = {"lips", "brows", "cheeks", "corners", "mouth", "jaw", *MER2023}
    for document in writer.documents(20, np.random.default_rng(0)):
        patches = document.prompt[1]
        assert document.prompt[0].endswith("<video>")
        assert any(word in patches for word in known)
        assert all(isinstance(part, str) and part for part in document.prompt)


def test_hints_point_to_the_label_more_than_to_any_other(writer, texts):
    telling = {text.clues[1]: text.label for text in texts}
    right = wrong = 0
    for document in writer.documents(300, np.random.default_rng(1)):
        if document.answer not in MER2023:
            continue
        votes = Counter(telling.get(word, word) for word in document.prompt[1].split())
        right += votes[document.answer]
        wrong += max(votes[label] for label in MER2023 if label != document.answer)
    assert right > wrong > 0


def test_what_is_said_is_exchanged_and_quoted_as_exchanged(texts):
    """One clip speaks a sentence of its own; over many documents that sentence meets every label."""
    quoting = replace(texts[0], text="It rains.", reason='"It rains." So it is neutral.')
    writer = ClueWriter([quoting, *texts[1:]], MER2023, TEMPLATES["emo"], purity=0.5, most=4)
    documents = list(writer.documents(8000, np.random.default_rng(2)))
    labels = {document.answer for document in documents if "It rains." in document.prompt[-1]}
    assert {text.label for text in texts} <= labels
    quotes = [document for document in documents if '" So it is' in document.answer]
    assert quotes
    for document in quotes:
        assert document.answer.split('"')[1] in document.prompt[-1]


def explanations(writer, count):
    """Documents that state a label, each with that label."""
    documents = list(writer.documents(count, np.random.default_rng(3)))
    marked = [(document, document.prompt[-1].partition("The label is ")) for document in documents]
    return [(document, rest.split(".")[0]) for document, (_, mark, rest) in marked if mark]


def test_explanations_name_the_label_they_are_asked_for(writer):
    asked = explanations(writer, 400)
    assert len(asked) > 50
    for document, label in asked:
        assert document.answer.endswith(f"the emotion is {label}.")


def test_the_stated_label_cannot_be_guessed_from_the_hints(writer, texts):
    """It is no more often the one hinted at than chance, and no hint of an explanation is a label's name."""
    telling = {text.clues[1]: text.label for text in texts}
    agree, asked = 0, explanations(writer, 2000)
    for document, label in asked:
        words = document.prompt[1].split()
        assert not set(words) & set(MER2023)
        votes = Counter(telling[word] for word in words if word in telling)
        agree += votes.most_common(1)[0][0] == label
    assert abs(agree / len(asked) - 1 / len(MER2023)) < 0.06


def test_every_label_is_stated_about_as_often(writer):
    labels = Counter(label for _, label in explanations(writer, 2000))
    assert set(labels) == set(MER2023)
    assert max(labels.values()) < 2 * min(labels.values())


def test_a_label_without_clues_is_named(texts):
    with pytest.raises(ConfigError, match="happy"):
        ClueWriter(
            [text for text in texts if text.label != "happy"], MER2023, TEMPLATES["emo"], purity=0.5, most=4
        )


def test_too_small_a_vocabulary_names_the_labels_it_splits(texts):
    with pytest.raises(ConfigError, match="surprise"):
        train_tokenizer([text.caption for text in texts], MER2023, vocabulary=275, positions=64)
