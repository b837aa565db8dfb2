"""One splice for training, scoring and generation; absent features leave their tags and nothing else."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from emo.errors import ConfigError
from emo.labels import MER2023
from emo.llm.examples import ask, question
from emo.llm.mixture import draw_epoch
from emo.llm.prompts import TEMPLATES, Slot
from emo.llm.splice import IGNORED

TEMPLATE = TEMPLATES["emo"]


def prompts_for(texts, task="emotion"):
    return [ask(TEMPLATE, question(text, task, MER2023, label=text.label)) for text in texts]


def hide(batch, name, rows):
    mask = batch.masks[name].clone()
    mask[rows] = False
    values = batch.values[name].clone()
    values[rows] = float("nan")
    return replace(batch, masks={**batch.masks, name: mask}, values={**batch.values, name: values})


def test_training_and_generation_see_the_same_prompt(model, texts, batch):
    clips, features = texts[:4], batch.take(range(4))
    prompts = prompts_for(clips)
    answers = [model.codec.answer(clip.reason) for clip in clips]
    trained = model.embed(prompts, features, answers)
    generating = model.embed(prompts, features, pad="left")
    for row, answer in enumerate(answers):
        length = int(generating.lengths[row])
        assert int(trained.lengths[row]) == length + len(answer)
        assert_close(
            trained.inputs_embeds[row, :length], generating.inputs_embeds[row, -length:], rtol=0, atol=0
        )
        assert trained.position_ids[row, :length].tolist() == generating.position_ids[row, -length:].tolist()


def test_only_the_answer_is_supervised_and_its_end_too(model, texts, batch):
    clips = texts[:3]
    answers = [model.codec.answer(clip.caption) for clip in clips]
    spliced = model.embed(prompts_for(clips, "caption"), batch.take(range(3)), answers)
    for row, answer in enumerate(answers):
        supervised = spliced.labels[row][spliced.labels[row] != IGNORED]
        assert supervised.tolist() == list(answer)
        assert supervised[-1] == model.codec.eos
        assert int(spliced.lengths[row]) == int((spliced.labels[row] != IGNORED).nonzero()[-1]) + 1


def test_padding_is_known_by_length_not_by_value(model, texts, batch):
    pad = model.codec.tokenizer.pad_token_id
    answer = (pad, pad, model.codec.eos)
    spliced = model.embed(prompts_for(texts[:1]), batch.take([0]), [answer])
    assert spliced.labels[0][spliced.labels[0] != IGNORED].tolist() == list(answer)
    assert spliced.attention_mask.all()


def test_slots_hold_the_projected_features_in_the_order_of_the_prompt(model, texts, batch):
    prompt = prompts_for(texts[:1])[0]
    features = batch.take([0])
    spliced = model.embed([prompt], features)
    place = len(model.codec.bos)
    for part in prompt:
        if not isinstance(part, Slot):
            place += len(model.codec.segment(part))
            continue
        name = "eva" if part.name.startswith("eva") else part.name
        vectors = model.projectors[part.name](features.values[name])[0]
        assert_close(spliced.inputs_embeds[0, place : place + len(vectors)], vectors, rtol=0, atol=1e-6)
        place += len(vectors)
    assert place == int(spliced.lengths[0])


def test_an_absent_feature_leaves_its_tags_and_no_vector(model, texts, batch):
    prompts, features = prompts_for(texts[:2]), batch.take([0, 1])
    whole = model.embed(prompts, features)
    without = model.embed(prompts, hide(features, "eva", [0]))
    assert int(whole.lengths[0]) - int(without.lengths[0]) == 2 + 1  # 8 patches by four, and the class token
    assert int(whole.lengths[1]) == int(without.lengths[1])
    assert torch.isfinite(without.inputs_embeds).all()
    words = [part for part in prompts[0] if isinstance(part, str)]
    kept = [one for part in words for one in model.codec.segment(part)]
    table = model.words(torch.tensor(kept))
    for vector in table:
        assert (without.inputs_embeds[0] == vector).all(dim=-1).any()


def test_a_clip_without_any_feature_is_still_asked(model, texts, batch):
    features = batch.take([0])
    for name in batch.names:
        features = hide(features, name, [0])
    spliced = model.embed(prompts_for(texts[:1]), features)
    assert torch.isfinite(model.hidden(spliced)).all()


def test_the_neighbour_in_the_batch_does_not_matter(model, texts, batch):
    clips = texts[:3]
    prompts, answers = prompts_for(clips, "caption"), [model.codec.answer(clip.caption) for clip in clips]
    together = model.answer_loss(model.embed(prompts, batch.take(range(3)), answers))
    alone = [
        model.answer_loss(model.embed([prompt], batch.take([row]), [answer]))
        for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
    ]
    assert together.tokens == sum(one.tokens for one in alone)
    assert_close(together.total, sum(one.total for one in alone), rtol=1e-5, atol=1e-5)


def test_a_slot_without_projector_is_refused(model, texts, batch):
    del model.projectors["hubert"]
    with pytest.raises(ConfigError, match="hubert"):
        model.embed(prompts_for(texts[:1]), batch.take([0]))


def test_a_prompt_too_few_is_refused(model, texts, batch):
    with pytest.raises(ConfigError, match="1 prompts for 2 clips"):
        model.embed(prompts_for(texts[:1]), batch.take([0, 1]))


def test_examples_do_not_depend_on_which_clips_are_drawn_with_them(texts, config):
    stage = config.stages["coarse"]
    all_of_them = draw_epoch(texts, stage, MER2023, seed=3, epoch=1)
    some = draw_epoch(texts[:7], stage, MER2023, seed=3, epoch=1)
    by_clip = {example.clip_id: example for example in all_of_them}
    assert all(example == by_clip[example.clip_id] for example in some)
    assert draw_epoch(texts, stage, MER2023, seed=3, epoch=2) != all_of_them
