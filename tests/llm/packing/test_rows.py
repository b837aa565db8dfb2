"""A packed row, a prefix tree and a trimmed last layer give the loss and gradients of the rows alone."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM

from emo.labels import MER2023
from emo.llm.base import Base
from emo.llm.build import assemble
from emo.llm.examples import ask, question
from emo.llm.packing.tree import lay_out, shared, tree_length
from emo.llm.prompts import TEMPLATES

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
TASKS = ("emotion", "caption", "reason")


def base_of(family, tokenizer, **settings):
    shape = AutoConfig.for_model(
        family,
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.15,
        **settings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        llama = AutoModelForCausalLM.from_config(shape)
    return Base(llama.requires_grad_(False), tokenizer, family, "0" * 64)


@pytest.fixture
def settings(config):
    return replace(config, lora=replace(config.lora, dropout=0.0), standardise=False)


@pytest.fixture(params=FAMILIES)
def any_model(request, tokenizer, settings, kit):
    model = assemble(base_of(request.param, tokenizer), kit.dims, settings, None, seed=0)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)  # else the adapters add nothing and get half a gradient
    return model.train()


def asked(model, texts, tasks):
    """Prompts, answers and the row of the clip, task by task within a clip."""
    prompts, answers, clips = [], [], []
    for row, clip in enumerate(texts):
        for task in tasks:
            prompts.append(ask(TEMPLATES["emo"], question(clip, task, MER2023)))
            said = {"emotion": clip.label, "caption": clip.caption, "reason": clip.reason}[task]
            answers.append(model.codec.answer(said))
            clips.append(row)
    return prompts, answers, clips


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return torch.cat([value.grad.flatten() for value in model.trained().values() if value.grad is not None])


def alone(model, batch, prompts, answers, clips):
    """Each prompt in a padded batch of one."""
    losses = [
        model.answer_loss(model.embed([prompt], batch.take([clip]), [answer])).total
        for prompt, answer, clip in zip(prompts, answers, clips, strict=True)
    ]
    return sum(losses)


def relative(got, expected):
    return float((got - expected).norm() / expected.norm())


@pytest.mark.parametrize("tasks", [("reason",), TASKS], ids=["rows", "trees"])
def test_a_packed_row_has_the_loss_and_gradients_of_its_prompts_alone(any_model, texts, batch, tasks):
    prompts, answers, clips = asked(any_model, texts[:3], tasks)
    packed = any_model.pack(prompts, batch.take(range(3)), answers, clips)
    loss = any_model.answer_loss(packed)
    got = gradients(any_model, loss.total)
    reference = alone(any_model, batch, prompts, answers, clips)
    expected = gradients(any_model, reference)
    assert loss.tokens == sum(map(len, answers))
    assert_close(loss.total, reference, rtol=1e-5, atol=0)
    assert relative(got, expected) < 1e-5


def test_the_trimmed_last_layer_is_exact(any_model, texts, batch):
    prompts, answers, clips = asked(any_model, texts[:2], TASKS)
    packed = any_model.pack(prompts, batch.take(range(2)), answers, clips)
    predicting = (packed.labels[0] != -100).nonzero().squeeze(1) - 1
    whole = any_model.hidden(packed)[0, predicting]
    seen = []
    norm = any_model.causal.base_model.norm
    handle = norm.register_forward_hook(lambda _, __, output: seen.append(output))
    any_model.answer_loss(packed)
    handle.remove()
    assert seen[0].shape[1] == len(predicting) < packed.labels.shape[1]
    assert_close(seen[0][0], whole, rtol=1e-6, atol=1e-6)


def test_a_base_of_unknown_form_goes_through_its_last_layer_whole(tokenizer, settings, kit, texts, batch):
    base = base_of("llama", tokenizer)
    base.llama.config.model_type = "another"
    model = assemble(base, kit.dims, settings, None, seed=0)
    prompts, answers, clips = asked(model, texts[:2], TASKS)
    packed = model.answer_loss(model.pack(prompts, batch.take(range(2)), answers, clips))
    assert_close(packed.total, alone(model, batch, prompts, answers, clips), rtol=1e-5, atol=0)


def test_one_call_is_given_the_keys_that_each_span_sees_in_their_order(model, texts, batch):
    """Prefix first: the kernel for GPUs aligns a causal mask at the last key, which is the query's own."""
    packed = model.pack(*_swapped(asked(model, texts[:2], TASKS), batch.take(range(2))))
    places = torch.arange(packed.labels.shape[1])
    ended = packed.spans.trimmed(packed.labels[0] != -100).ending[1]
    for spans in (packed.spans, ended):
        _, bounds = spans.bounds(places.device)
        gathered = places[spans.gathered(places.device)]
        for span, start, stop in zip(spans.spans, bounds[:-1], bounds[1:], strict=True):
            seen = [*places[slice(*span.prefix)], *places[span.own : span.stop]]
            assert gathered[start:stop].tolist() == seen == sorted(seen)


def test_no_mask_is_made_for_a_packed_row(any_model, texts, batch, monkeypatch):
    def refuse(**_):
        raise AssertionError("a dense mask")

    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    packed = any_model.pack(*_swapped(asked(any_model, texts[:2], TASKS), batch.take(range(2))))
    monkeypatch.setitem(ALL_MASK_ATTENTION_FUNCTIONS._global_mapping, "emo_spans", refuse)
    any_model.answer_loss(packed)


def _swapped(asked_, features):
    prompts, answers, clips = asked_
    return prompts, features, answers, clips


def test_tasks_of_a_clip_share_its_features_and_nothing_past_the_first_difference(any_model, texts, batch):
    prompts, answers, clips = asked(any_model, texts[:1], TASKS)
    calls = []
    handles = [
        projector.register_forward_hook(lambda *_: calls.append(1))
        for projector in any_model.projectors.values()
    ]
    tree = any_model.pack(prompts, batch.take([0]), answers, clips)
    for handle in handles:
        handle.remove()
    assert len(calls) == len(any_model.projectors)
    rows = zip(prompts, answers, strict=True)
    lengths = [len(any_model.pack([one], batch.take([0]), [said], [0]).labels[0]) for one, said in rows]
    saved = sum(lengths) - len(tree.labels[0])
    assert saved % 2 == 0
    assert saved / 2 > sum(
        len(any_model.codec.segment(part)) for part in prompts[0][:-1] if isinstance(part, str)
    )
    assert int(tree.position_ids.max()) + 1 == max(lengths)


def test_a_clip_without_any_feature_can_be_packed(any_model, texts, batch):
    masks = {name: torch.zeros(1, dtype=torch.bool) for name in batch.names}
    bare = replace(batch.take([0]), masks=masks)
    prompts, answers, clips = asked(any_model, texts[:1], TASKS)
    packed = any_model.answer_loss(any_model.pack(prompts, bare, answers, clips))
    assert_close(packed.total, alone(any_model, bare, prompts, answers, clips), rtol=1e-5, atol=0)


def test_a_base_that_looks_back_less_far_than_an_example_does_so_in_a_row(
    tokenizer, settings, kit, texts, batch
):
    """transformers' own padded batches say what a window of 16 means."""
    model = assemble(base_of("mistral", tokenizer, sliding_window=16), kit.dims, settings, None, seed=0)
    prompts, answers, clips = asked(model, texts[:2], TASKS)
    rows = batch.take(range(2))
    packed = model.answer_loss(model.pack(prompts, rows, answers, clips)).total
    near = gradients(model, packed)
    padded = model.answer_loss(model.embed(prompts, rows.take(clips), answers)).total
    assert_close(packed, padded, rtol=1e-5, atol=0)
    assert_close(near, gradients(model, padded), rtol=1e-4, atol=1e-6)


def test_checkpointed_layers_give_the_same_gradients(any_model, texts, batch):
    """Recomputing in the backward pass must find the spans again."""
    prompts, answers, clips = asked(any_model, texts[:2], TASKS)
    packed = any_model.pack(prompts, batch.take(range(2)), answers, clips)
    expected = gradients(any_model, any_model.answer_loss(packed).total)
    any_model.causal.gradient_checkpointing_enable({"use_reentrant": False})
    packed = any_model.pack(prompts, batch.take(range(2)), answers, clips)
    assert_close(gradients(any_model, any_model.answer_loss(packed).total), expected, rtol=1e-5, atol=1e-6)


def test_a_tree_shares_tokens_up_to_the_first_difference():
    lines = [[1, 2, 3, 4, 9], [1, 2, 5, 6, 7, 9], [1, 2, 3, 8, 9]]
    assert shared(lines, [4, 5, 4]) == 2
    row = lay_out(lines, [1, 1, 1], [0, 0, 0])
    assert row.places == [1, 2, 3, 4, 9, 5, 6, 7, 9, 3, 8, 9]
    assert row.positions == [0, 1, 2, 3, 4, 2, 3, 4, 5, 2, 3, 4]
    assert row.ends == [5, 9, 12]
    assert len(row.places) == tree_length(lines, [4, 5, 4])


def test_a_prompt_keeps_one_token_of_its_own():
    """Two answers to one question: the token that predicts them is not shared."""
    lines = [[1, 2, 3, 7], [1, 2, 3, 8, 9]]
    assert shared(lines, [3, 3]) == 2
    assert lay_out(lines, [1, 2], [0, 0]).places == [1, 2, 3, 7, 3, 8, 9]


def test_other_clips_share_nothing():
    assert lay_out([[1, 2, 3], [1, 2, 3]], [1, 1], [0, 1]).places == [1, 2, 3, 1, 2, 3]
