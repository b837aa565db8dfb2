"""Greedy generation in batches. Positions are given, not guessed from padding, so a batch of N answers
as N batches of one. Knows token ids and prompts; what an answer means is not its business.

Axes: B batch, S tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from emo.heads.batches import FeatureBatch
from emo.llm.model import EmotionLlama
from emo.llm.prompts import Prompt


@torch.inference_mode()
def greedy_steps(
    model: EmotionLlama, prompts: Sequence[Prompt], features: FeatureBatch, max_new_tokens: int
) -> Iterator[Tensor]:
    """The most probable next token of each row, (B,) int64, step by step until every row has ended.

    A row that has ended repeats the end token. Prompts are padded on the left.
    """
    spliced = model.embed(prompts, features, pad="left")
    body = cast(nn.Module, model.causal.base_model)
    mask, position = spliced.attention_mask, spliced.lengths
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=mask.device)
    output = body(
        inputs_embeds=spliced.inputs_embeds,
        attention_mask=mask,
        position_ids=spliced.position_ids,
        use_cache=True,
    )
    for step in range(max_new_tokens):
        chosen = model.logits(output.last_hidden_state[:, -1]).argmax(-1)
        chosen = torch.where(ended, model.codec.eos, chosen)
        ended = ended | (chosen == model.codec.eos)
        yield chosen
        if step + 1 == max_new_tokens or bool(ended.all()):
            return
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
        output = body(
            input_ids=chosen[:, None],
            attention_mask=mask,
            position_ids=position[:, None] + step,
            past_key_values=output.past_key_values,
            use_cache=True,
        )


def generate(
    model: EmotionLlama, prompts: Sequence[Prompt], features: FeatureBatch, max_new_tokens: int
) -> list[str]:
    """The greedy answers of B prompts as text."""
    steps = list(greedy_steps(model, prompts, features, max_new_tokens))
    return [model.codec.text(row.tolist()) for row in torch.stack(steps, dim=1)]
