"""A tiny base on disk and an official state dict that goes with it."""

import pytest
import torch

from emo.config.llm import SLOTS
from emo.llm.official.keys import PROJECTORS

RANK, HIDDEN, LAYERS = 8, 32, 2
LAYER = "llama_model.base_model.model.model.layers"


@pytest.fixture
def base_folder(base, tmp_path):
    base.llama.save_pretrained(tmp_path / "base")
    base.tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def state(kit):
    """The used tensors of an official state dict for the tiny base, under the names of peft 0.2.0."""
    generator = torch.Generator().manual_seed(0)
    shapes = {}
    for layer in range(LAYERS):
        for name, width in {"q_proj": 32, "v_proj": 16}.items():
            shapes[f"{LAYER}.{layer}.self_attn.{name}.lora_A.weight"] = (RANK, HIDDEN)
            shapes[f"{LAYER}.{layer}.self_attn.{name}.lora_B.weight"] = (width, RANK)
    dims = kit.dims
    widths = {slot: dims.get(slot, dims["eva"] * (4 if slot == "eva_patches" else 1)) for slot in SLOTS}
    for name, slot in PROJECTORS.items():
        shapes |= {f"{name}.weight": (HIDDEN, widths[slot]), f"{name}.bias": (HIDDEN,)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
