"""Embeddings of clips: what the LLaMA stage holds of a clip before it says a word.

Two vectors a clip, from the last hidden states after the final norm. Knows no clips, caches or labels.

Axes: B batch, S tokens, H LLM hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from emo.heads.batches import FeatureBatch
from emo.llm.model import EmotionLlama
from emo.llm.prompts import Prompt, Template


class Embeddings(NamedTuple):
    """`prefix` (B, H) is the mean over the multimodal prefix, `answer` (B, H) the vector that predicts the
    first token of the answer; both fp32."""

    prefix: Tensor
    answer: Tensor


@torch.inference_mode()
def prompt_embeddings(
    model: EmotionLlama, template: Template, prompts: Sequence[Prompt], features: FeatureBatch
) -> Embeddings:
    """Embeddings of B `prompts` in the layout `template`, whose head is the multimodal prefix.

    The prefix does not depend on what is asked: later tokens are not seen by earlier ones.
    """
    spliced = model.embed(prompts, features)
    hidden = model.hidden(spliced).float()
    heads = model.embed([template.head] * len(prompts), features).lengths
    places = torch.arange(hidden.shape[1], device=hidden.device)
    inside = (places[None] < heads[:, None]).float()
    prefix = torch.einsum("bs,bsh->bh", inside, hidden) / heads[:, None]
    return Embeddings(prefix, hidden[torch.arange(len(prompts)), spliced.lengths - 1])
