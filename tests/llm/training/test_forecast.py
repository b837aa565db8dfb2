"""The forecast: its formulas against what a model saves and computes, its counts against a run."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from emo.config.hardware import HardwareConfig
from emo.config.llm import SLOTS, LoraSettings, StageConfig
from emo.errors import ConfigError
from emo.heads.projectors import projectors_for
from emo.labels import MER2023
from emo.llm.base import load_shape
from emo.llm.build import assemble, new_model
from emo.llm.model import EmotionLlama, with_lora
from emo.llm.prompts import TEMPLATES
from emo.llm.training.course import Course
from emo.llm.training.events import StepDone
from emo.llm.training.footprint import activation_bytes, flops, layer_bytes, memory, shape_of
from emo.llm.training.forecast import forecast_of
from emo.llm.training.forward import Moment, answer_tokens, micro_loss
from emo.llm.training.plan import epoch_steps, micro_lengths
from emo.llm.training.stages import train_stage

STAGE = StageConfig(tasks={"emotion": 0.5, "caption": 0.5}, steps=4, batch_size=6, row_tokens=400)
LLAMA_2_7B = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
}
PAPER_DIMS = {"mae": 1024, "videomae": 1024, "hubert": 1024, "eva": 1408}
SAVED_PER_LAYER = 160.9 * 1024  # measured at 7B width in bf16, rank 64, dropout 0.05


@pytest.fixture
def course(base, features, texts, config):
    """Four layers, wide enough that what is not in a layer counts little."""
    shape = LlamaConfig(
        vocab_size=base.llama.config.vocab_size,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
    )
    wide = replace(base, llama=LlamaForCausalLM(shape).requires_grad_(False))
    model = new_model(wide, features, [text.clip_id for text in texts], config, seed=0)
    return Course(
        model=model.train(),
        features=features,
        template=TEMPLATES["emo"],
        labels=MER2023,
        train=texts,
        valid=(),
    )


@pytest.fixture
def seven():
    """LLaMA-2-7B with the paper's adapters and projectors, without weights."""

    def build(tokenizer):
        with torch.device("meta"):
            llama = with_lora(LlamaForCausalLM(LlamaConfig(**LLAMA_2_7B)), LoraSettings())
            model = EmotionLlama(llama, tokenizer, projectors_for(SLOTS, PAPER_DIMS, 4096))
        return model, shape_of(model, LoraSettings())

    return build


def load_shape_of(base):
    """The base without weights and adapters."""
    with torch.device("meta"):
        return replace(base, llama=LlamaForCausalLM(base.llama.config))


def saved_bytes(loss_of, parameters):
    """Bytes of the storages that autograd keeps for the backward pass, the parameters left out."""
    own = {value.untyped_storage().data_ptr() for value in parameters}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss_of()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_activations_are_what_autograd_saves(course, config, dtype):
    for value in course.model.llama.parameters():
        if not value.requires_grad:
            value.data = value.data.to(getattr(torch, dtype))
    micro = epoch_steps(course, STAGE, 0)[0][0]
    moment = Moment("coarse", 0)
    saved = saved_bytes(lambda: micro_loss(course, STAGE, micro, moment, 0), course.model.parameters())
    [tokens] = micro_lengths(course, (micro,))
    expected = activation_bytes(shape_of(course.model, config.lora), HardwareConfig(dtype=dtype))
    assert saved / tokens == pytest.approx(expected, rel=0.15)


def test_activations_at_full_width_are_those_measured(seven, tokenizer):
    _, shape = seven(tokenizer)
    measured = layer_bytes(shape, HardwareConfig(device="cuda", dtype="bfloat16"))
    assert measured == pytest.approx(SAVED_PER_LAYER, rel=0.15)


def test_operations_are_those_counted(course, config):
    micro = epoch_steps(course, STAGE, 0)[0][0]
    counter = FlopCounterMode(display=False)
    with counter:
        micro_loss(course, STAGE, micro, Moment("coarse", 0), 0).total.backward()
    [tokens] = micro_lengths(course, (micro,))
    slots = counter.get_flop_counts().get("projectors", {})
    expected = flops(
        shape_of(course.model, config.lora),
        tokens=tokens,
        answer_tokens=answer_tokens(course, (micro,)),
        squares=0,  # the counter does not know attention on a CPU
        slot_flops=sum(slots.values()),
        checkpointing=False,
    )
    assert expected == pytest.approx(counter.get_total_flops(), rel=0.03)


def test_a_label_sample_at_full_size_costs_what_was_counted(seven, tokenizer):
    _, shape = seven(tokenizer)
    cost = flops(
        replace(shape, trimmed=False),
        tokens=350,
        answer_tokens=3,
        squares=350**2,
        slot_flops=0.0,
        checkpointing=False,
    )
    assert cost == pytest.approx(9.25e12, rel=0.02)


def test_memory_of_a_full_size_base_by_bits_and_ranks(seven, tokenizer):
    model, shape = seven(tokenizer)
    row = {"row_tokens": 2048, "answer_tokens": 300}
    card = HardwareConfig(device="cuda", dtype="bfloat16")
    whole, quarter = (
        memory(model, shape, replace(card, **change), **row)
        for change in ({}, {"gpus": 4, "strategy": "fsdp2"})
    )
    gib = 2**30
    assert whole.weights / gib == pytest.approx(12.55, abs=0.01)
    assert memory(model, shape, replace(card, bits=8), **row).weights / gib == pytest.approx(6.52, abs=0.01)
    assert memory(model, shape, replace(card, bits=4), **row).weights / gib == pytest.approx(3.60, abs=0.01)
    assert whole.trained == 16 * 74_993_664
    assert quarter.weights < 0.4 * whole.weights
    assert quarter.trained < whole.trained
    again = memory(model, shape, replace(card, checkpointing=True), **row)
    assert again.activations < 0.15 * whole.activations


def test_counts_are_those_of_the_run(base, features, texts, config):
    model = new_model(base, features, [text.clip_id for text in texts], config, seed=0)
    course = Course(
        model=model, features=features, template=TEMPLATES["emo"], labels=MER2023, train=texts[:24], valid=()
    )
    done = [event for event in train_stage(course, "coarse", STAGE) if isinstance(event, StepDone)]
    expected = forecast_of(
        load_shape_of(base),
        features,
        texts[:24],
        replace(config, stages={"coarse": STAGE}),
        HardwareConfig(),
        seed=0,
    )
    [stage] = expected.stages
    assert (stage.steps, stage.epochs) == (4, 1.0)
    assert stage.supervised == sum(event.tokens for event in done)
    assert stage.answers == 24
    assert expected.counts == model.counts()
    assert stage.seconds > 0
    least = flops(
        shape_of(model, config.lora),
        tokens=stage.tokens,
        answer_tokens=stage.supervised,
        squares=0,
        slot_flops=0.0,
        checkpointing=False,
    )
    assert least < stage.flops < 1.6 * least  # attention and projectors come on top


def test_padding_is_counted_as_not_useful(base, features, texts, config):
    padded = replace(STAGE, layout="padded")
    stages = {"packed": STAGE, "padded": padded}
    recipe = replace(config, stages=stages)
    result = forecast_of(load_shape_of(base), features, texts[:24], recipe, HardwareConfig(), seed=0)
    packed, batched = result.stages
    assert packed.useful == 1.0
    assert 0.5 < batched.useful < 1.0
    assert batched.tokens > packed.tokens
    assert "useful tokens 100.0%" in "\n".join(result.lines())
    assert json.loads(json.dumps(result.as_json()))["stages"][0]["memory"]["total"] > 0


def test_config_and_tokenizer_are_enough(base, features, texts, config, tmp_path):
    base.llama.config.save_pretrained(tmp_path)
    base.tokenizer.save_pretrained(tmp_path)
    shape = load_shape(str(tmp_path))
    assert all(value.is_meta for value in shape.llama.parameters())
    recipe = replace(config, stages={"coarse": STAGE})
    counts = forecast_of(shape, features, texts[:24], recipe, HardwareConfig(), seed=0).counts
    dims = {"hubert": 12, "mae": 10, "videomae": 8, "eva": 6}
    assert counts == assemble(base, dims, config, None, seed=0).counts()
    shutil.rmtree(tmp_path)
    with pytest.raises(ConfigError, match="config"):
        load_shape(str(tmp_path))


def test_a_card_that_is_not_here_gets_no_time(base, features, texts, config):
    recipe = replace(config, stages={"coarse": STAGE})
    card = HardwareConfig(device="cuda", dtype="bfloat16", gpus=2)
    result = forecast_of(load_shape_of(base), features, texts[:24], recipe, card, seed=0)
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    assert result.gemm is None
    assert result.stages[0].seconds is None
    assert "the device is not here" in "\n".join(result.lines())
    assert 1.0 <= result.stages[0].imbalance < 1.2
