"""Questions about one clip share what stands before them, read once, and are answered as if it were not."""

import pytest

from emo.config.decoding import Decoding
from emo.errors import ConfigError
from emo.labels import MER2023
from emo.llm.examples import ask, question
from emo.llm.generation import stream
from emo.llm.prefix import KeptPrefix
from emo.llm.prompts import TEMPLATES


def asked_of(template, texts):
    own = template.prompt(text=texts.text, tag="reason", instruction="Why do the brows look like that?")
    return [ask(template, question(texts, "emotion", MER2023)), own, own]


@pytest.mark.parametrize("name", ["emo", "official-eval"])
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.8, "top_p": 0.9}], ids=["greedy", "drawn"])
def test_answers_after_a_kept_prefix_are_those_of_whole_prompts(model, texts, batch, name, settings):
    features, decoding = batch.take([3]), Decoding(max_new_tokens=12, **settings)
    template = TEMPLATES[name]
    prefix = KeptPrefix(model, template.head, features)
    assert prefix.tokens == int(model.embed([template.head], features).lengths[0])
    for prompt in asked_of(template, texts[3]):
        whole = "".join(stream(model, prompt, features, decoding))
        assert "".join(prefix.stream(prompt, decoding)) == whole


def test_a_question_that_is_broken_off_leaves_the_prefix_as_it_was(model, texts, batch):
    features, decoding = batch.take([0]), Decoding(max_new_tokens=12)
    prefix = KeptPrefix(model, TEMPLATES["emo"].head, features)
    first, second, _ = asked_of(TEMPLATES["emo"], texts[0])
    next(talk := prefix.stream(second, decoding))
    talk.close()
    assert list(prefix.stream(first, decoding)) == list(stream(model, first, features, decoding))


def test_a_prompt_of_another_head_is_refused(model, texts, batch):
    prefix = KeptPrefix(model, TEMPLATES["emo"].head, batch.take([0]))
    for wrong in (asked_of(TEMPLATES["chatml"], texts[0])[0], TEMPLATES["emo"].head):
        with pytest.raises(ConfigError, match="asks nothing behind the head"):
            list(prefix.stream(wrong, Decoding()))
