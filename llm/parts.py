"""The parts of a model that a stage may leave as they are: the adapters, the projectors, or one projector.

Knows no stages and no optimiser.
"""

from __future__ import annotations

from collections.abc import Collection

from emo.config.llm import SLOTS
from emo.errors import ConfigError
from emo.llm.model import LORA_MARK, EmotionLlama

LORA, PROJECTORS = "lora", "projectors"
PARTS = (LORA, PROJECTORS, *SLOTS)


def freeze(model: EmotionLlama, frozen: Collection[str]) -> None:
    """Adapters and projectors get gradients, save those of the `frozen` parts; the LLaMA itself never does.

    ConfigError where nothing would be left to train.
    """
    for name, value in model.llama.named_parameters():
        if LORA_MARK in name:
            value.requires_grad_(LORA not in frozen)
    for slot, projector in model.projectors.items():
        projector.requires_grad_(PROJECTORS not in frozen and slot not in frozen)
    if not model.trained():
        raise ConfigError(f"with {', '.join(frozen)} frozen nothing is left to train. Freeze less.")
