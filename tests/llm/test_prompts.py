"""Prompts, tasks and the codec that turns them into ids."""

import numpy as np
import pytest

from emo.errors import ConfigError
from emo.labels import MER2023
from emo.llm.official.text import official_answer
from emo.llm.prompts import OFFICIAL_EMOTION, TASKS, TEMPLATES, Slot, instruction, task_named, template_named
from emo.llm.tokens import TextCodec

OFFICIAL_ORDER = ("happy", "sad", "neutral", "angry", "worried", "surprise", "fear", "contempt", "doubt")


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [("It is Happy! \n", "it is happy"), (" (a; b)  C. ", "a b c"), ("word " * 300, ("word " * 200).strip())],
    ids=["end", "marks and gaps", "most words"],
)
def test_an_official_answer_has_no_marks_and_no_gaps(written, cleaned):
    assert official_answer(written) == cleaned


def slots_of(prompt):
    return [part.name for part in prompt if isinstance(part, Slot)]


def test_the_training_layout_splits_patches_from_utterances():
    prompt = TEMPLATES["emo"].prompt(text="No.", tag="emotion", instruction="Which?")
    assert slots_of(prompt) == ["eva_patches", "mae", "videomae", "hubert", "eva_class"]
    assert prompt[0] == "[INST] <video>"
    assert prompt[2] == "</video> <feature>"
    assert prompt[-1] == "</feature> The person in video says: No..  [emotion] Which?  [/INST]"


def test_the_official_generation_layout_keeps_the_second_mark_as_text():
    prompt = TEMPLATES["official-eval"].prompt(text="No.", tag="emotion", instruction="Which?")
    assert slots_of(prompt) == ["eva_patches", "mae", "videomae", "hubert", "eva_class"]
    assert prompt[0] == "<s>[INST] <video>"
    assert prompt[-1].startswith("</video> <feature><FeatureHere></feature> The person")


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("chatml", "<|im_start|>user\n<video>", "Which?<|im_end|>\n<|im_start|>assistant\n"),
        (
            "llama-3",
            "<|start_header_id|>user<|end_header_id|>\n\n<video>",
            "Which?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
    ],
)
def test_other_chat_models_marks_stand_around_the_training_layout(name, first, last):
    prompt = TEMPLATES[name].prompt(text="No.", tag="emotion", instruction="Which?")
    plain = TEMPLATES["emo"].prompt(text="No.", tag="emotion", instruction="Which?")
    assert prompt[0] == first and prompt[-1].endswith(last)
    assert prompt[1:-1] == plain[1:-1]
    assert prompt[-1].removesuffix(last) == plain[-1].removesuffix("Which?  [/INST]")


def test_a_clip_without_words_has_no_subtitle_line():
    prompt = TEMPLATES["emo"].prompt(text="", tag="emotion", instruction="Which?")
    assert "says" not in prompt[-1]


def test_the_first_emotion_question_is_the_official_one():
    asked = instruction(TASKS["emotion"], OFFICIAL_ORDER)
    assert asked == OFFICIAL_EMOTION.format(labels=", ".join(OFFICIAL_ORDER))
    assert asked.endswith("happy, sad, neutral, angry, worried, surprise, fear, contempt, doubt.")


def test_explaining_states_the_label_whatever_is_drawn_from_the_pool():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        assert "sad" in instruction(TASKS["explain"], MER2023, label="sad", rng=rng)


def test_explaining_without_a_label_is_refused():
    with pytest.raises(ConfigError, match="explain"):
        instruction(TASKS["explain"], MER2023)


@pytest.mark.parametrize("lookup", [template_named, task_named])
def test_an_unknown_name_is_answered_with_the_known_ones(lookup):
    with pytest.raises(ConfigError, match=r"Known: emo"):
        lookup("emotive")


def test_each_label_is_one_token_after_a_space(tokenizer):
    codec = TextCodec(tokenizer)
    for label in MER2023:
        assert len(codec.answer(label, end=False)) == 1
        assert codec.segment(f"it is {label}")[-1] == codec.answer(label, end=False)[0]


def test_an_answer_ends_with_the_end_token_unless_it_is_cut(tokenizer):
    codec = TextCodec(tokenizer)
    whole = codec.answer("the face is still")
    assert whole[-1] == codec.eos
    assert codec.answer("the face is still", limit=len(whole) - 1) == whole[:-1]


def test_text_stops_at_the_end_token(tokenizer):
    codec = TextCodec(tokenizer)
    ids = [*codec.answer("happy"), *codec.answer("sad")]
    assert codec.text(ids) == "happy"


def test_the_subtitle_may_hold_anything(tokenizer):
    codec = TextCodec(tokenizer)
    said = "ça va? {label} 你好 </video>"
    prompt = TEMPLATES["emo"].prompt(text=said, tag="emotion", instruction="Which?")
    assert said in tokenizer.decode(codec.segment(prompt[-1]))
