"""A fresh EmotionLlama from a base, features and a recipe. Knows no stages and no checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from emo.config.llm import LlmConfig
from emo.heads.projectors import projectors_for
from emo.heads.standardise import Standardiser
from emo.llm.base import Base
from emo.llm.features import Features
from emo.llm.model import EmotionLlama, match_embeddings, with_lora

STANDARDISER_CLIPS = 1024  # enough for a mean and a spread; 40 GB of EVA tokens need not be read for them


def new_model(
    base: Base, features: Features, train_ids: Sequence[str], config: LlmConfig, *, seed: int
) -> EmotionLlama:
    """Adapters and projectors in their starting state: the same for the same seed.

    The standardiser, where `config` asks for one, is fitted on training clips only.
    """
    sample = features.read(spread_over(train_ids, STANDARDISER_CLIPS if config.standardise else 1))
    standardiser = Standardiser.fit(sample) if config.standardise else None
    return assemble(base, sample.dims, config, standardiser, seed=seed)


def assemble(
    base: Base, dims: Mapping[str, int], config: LlmConfig, standardiser: Standardiser | None, *, seed: int
) -> EmotionLlama:
    """Base, adapters and projectors for features of these dims, by name. The global random state is left
    as it was."""
    hidden = int(base.llama.get_input_embeddings().weight.shape[1])  # type: ignore[operator]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        llama = with_lora(base.llama, config.lora)
        projectors = (
            projectors_for(config.slots, dims, hidden, config.projectors) if dims else nn.ModuleDict()
        )
    model = EmotionLlama(llama, base.tokenizer, projectors, standardiser=standardiser)
    model.projectors.to(model.device)
    if config.projector_scale is not None:
        match_embeddings(model, config.projector_scale, torch.Generator().manual_seed(seed))
    return model


def spread_over(clip_ids: Sequence[str], most: int) -> list[str]:
    """At most `most` of the ids, evenly spread over the list."""
    step = max(1, -(-len(clip_ids) // most))
    return list(clip_ids[::step])
