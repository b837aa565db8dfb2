"""A built model made ready for its hardware: checkpointing, compiled layers, slices over the ranks.

None of it changes what is learnt. Builds no model and runs no step.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from emo.config.hardware import HardwareConfig
from emo.config.llm import LlmConfig
from emo.errors import ConfigError
from emo.llm.model import EmotionLlama
from emo.llm.packing.attention import NAME, attention
from emo.llm.training.distributed import Crew, slice_layers


def prepare(model: EmotionLlama, hardware: HardwareConfig, crew: Crew) -> None:
    """Make `model` ready for training on this rank, in place. Weights are loaded before, not after."""
    if hardware.checkpointing:
        checkpoint_activations(model.causal)
    if hardware.compile:
        compile_layers(model.causal)
    if crew.sliced:
        slice_layers(model.causal, crew)
        model.projectors.to(crew.device)


def refuse_frozen_slices(hardware: HardwareConfig, config: LlmConfig) -> None:
    """ConfigError where a stage freezes sliced adapters: FSDP2 fixes at the start what is trained."""
    frozen = [name for name, stage in config.stages.items() if "lora" in stage.frozen]
    if frozen and hardware.strategy == "fsdp2":
        raise ConfigError(f"{', '.join(frozen)} freezes lora, which fsdp2 cannot do. Use --strategy ddp.")


def checkpoint_activations(causal: nn.Module) -> None:
    """Keep what enters each decoder layer, make the rest again in the backward pass with the same dropout."""
    cast(Any, causal).gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def compile_layers(causal: nn.Module, backend: str = "inductor") -> None:
    """Compile each decoder layer, so that equal layers share one compilation.

    Attention stays out of the graph: its spans are other numbers in every row and would compile anew. The
    last layer stays out too, because it sees a row of another length.
    """
    from transformers import AttentionInterface

    untraced = torch.compiler.disable(attention)  # type: ignore[no-untyped-call]
    AttentionInterface.register(NAME, untraced)
    for layer in cast(Any, causal).base_model.layers[:-1]:
        layer.compile(backend=backend, dynamic=True)
