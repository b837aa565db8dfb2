"""Checkpointed and compiled layers give the gradients of plain ones; low bits say what they need."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from emo.config.hardware import HardwareConfig
from emo.config.llm import LoraSettings, StageConfig
from emo.errors import ConfigError, MissingDependency
from emo.labels import MER2023
from emo.llm.base import load_base
from emo.llm.build import new_model
from emo.llm.model import with_lora
from emo.llm.prompts import TEMPLATES
from emo.llm.training.course import Course
from emo.llm.training.distributed import ALONE
from emo.llm.training.forward import Moment, micro_loss
from emo.llm.training.hardware import compile_layers, prepare, refuse_frozen_slices
from emo.llm.training.plan import epoch_steps

STAGE = StageConfig(tasks={"emotion": 0.5, "caption": 0.5}, steps=4, batch_size=6, tasks_per_clip=2)


@pytest.fixture
def course(base, features, texts, config):
    """Adapters with dropout and something to say."""
    model = new_model(base, features, [text.clip_id for text in texts], config, seed=0)
    for name, value in model.trained().items():
        if "lora_B" in name:
            torch.nn.init.normal_(value, 0.0, 0.05, generator=torch.Generator().manual_seed(1))
    return Course(
        model=model.train(),
        features=features,
        template=TEMPLATES["emo"],
        labels=MER2023,
        train=texts,
        valid=(),
    )


def gradients(course, layout, step=0):
    stage = replace(STAGE, layout=layout)
    [micro] = epoch_steps(course, stage, 0)[step]
    course.model.zero_grad(set_to_none=True)
    micro_loss(course, stage, micro, Moment("coarse", step), 0).total.backward()
    return {name: value.grad.clone() for name, value in course.model.trained().items()}


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_checkpointing_changes_no_gradient(course, layout):
    plain = gradients(course, layout)
    prepare(course.model, HardwareConfig(checkpointing=True), ALONE)
    again = []
    layer = course.model.causal.base_model.layers[0].mlp
    layer.register_forward_pre_hook(lambda *_: again.append(1))
    for name, value in gradients(course, layout).items():
        torch.testing.assert_close(value, plain[name], rtol=1e-6, atol=1e-7)
    assert len(again) == 2


def test_compiled_layers_change_no_gradient_and_compile_once_for_all_rows(course):
    plain = [gradients(course, "packed", step) for step in range(3)]
    torch._dynamo.reset()
    graphs = []

    def counting(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compile_layers(course.model.causal, backend=counting)
    for step, expected in enumerate(plain):
        for name, value in gradients(course, "packed", step).items():
            torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6)
        if step == 0:
            first = len(graphs)
    assert 0 < first == len(graphs)


def test_low_bits_without_bitsandbytes_name_the_line_that_installs_it():
    if find_spec("bitsandbytes"):
        pytest.skip("bitsandbytes is installed")
    with pytest.raises(MissingDependency, match=r"pip install 'emo-toolkit\[lowbit\]'"):
        load_base("some/where", bits=4, device="cuda")


@pytest.mark.parametrize(("bits", "kind"), [(8, "Linear8bitLt"), (4, "Linear4bit")])
def test_a_base_of_low_bits_trains_its_adapters(base, tmp_path, bits, kind):
    pytest.importorskip("bitsandbytes")
    base.llama.save_pretrained(tmp_path)
    base.tokenizer.save_pretrained(tmp_path)
    llama = load_base(str(tmp_path), bits=bits).llama.train()
    assert type(llama.model.layers[0].mlp.up_proj).__name__ == kind
    adapted = with_lora(llama, LoraSettings(rank=2, alpha=2))
    embeds = llama.get_input_embeddings()(torch.arange(3, 12)[None])
    adapted(inputs_embeds=embeds, use_cache=False).logits.square().mean().backward()
    trained = {name: value for name, value in adapted.named_parameters() if value.requires_grad}
    assert {value.dtype for value in trained.values()} == {torch.float32}
    assert all(value.grad is not None for value in trained.values())


def test_a_stage_that_freezes_sliced_adapters_is_refused(config):
    frozen = replace(config, stages={"align": replace(STAGE, frozen=("lora",))})
    with pytest.raises(ConfigError, match="align freezes lora"):
        refuse_frozen_slices(HardwareConfig(gpus=2, strategy="fsdp2"), frozen)
    refuse_frozen_slices(HardwareConfig(gpus=2), frozen)
