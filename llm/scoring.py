"""Label scoring: how probable each label is as the answer, from one pass over the prompt.

Never gives an answer outside the label set. Knows nothing of metrics or thresholds.

Axes: B batch, S prompt tokens, C tokens of all candidates, K classes, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch
from emo.llm.model import EmotionLlama
from emo.llm.prompts import Prompt
from emo.llm.tokens import TextCodec


def candidates(codec: TextCodec, labels: Sequence[str]) -> list[tuple[int, ...]]:
    """Token ids of each label as an answer.

    Where every label is one token of its own, that token decides; otherwise the end token belongs to the
    candidate, so that a label which begins another one is told apart from it.
    """
    bare = [codec.answer(label, end=False) for label in labels]
    if len(set(bare)) != len(labels):
        raise ConfigError(f"two of the labels {', '.join(labels)} have the same tokens.")
    if all(len(ids) == 1 for ids in bare):
        return bare
    return [codec.answer(label) for label in labels]


@torch.inference_mode()
def label_log_likelihoods(
    model: EmotionLlama, prompts: Sequence[Prompt], features: FeatureBatch, labels: Sequence[str]
) -> Tensor:
    """log P(label as the answer | prompt), (B, K) fp32: not normalised over the labels.

    The prompt is read once; labels of several tokens are then read together in one short pass, each of
    them blind to the others.
    """
    wanted = candidates(model.codec, labels)
    spliced = model.embed(prompts, features, pad="left")
    body = cast(nn.Module, model.causal.base_model)
    prefix = body(
        inputs_embeds=spliced.inputs_embeds,
        attention_mask=spliced.attention_mask,
        position_ids=spliced.position_ids,
        use_cache=any(len(ids) > 1 for ids in wanted),
    )
    first = model.logits(prefix.last_hidden_state[:, -1]).log_softmax(-1)
    scores = first[:, [ids[0] for ids in wanted]]
    if prefix.past_key_values is None:
        return scores
    fed = [ids[:-1] for ids in wanted]
    words = model.words(_tensor([token for ids in fed for token in ids], model))  # (C, H)
    depths = _tensor([depth for ids in fed for depth in range(len(ids))], model)
    output = body(
        inputs_embeds=words.expand(len(prompts), -1, -1),
        attention_mask=_branches(fed, spliced.attention_mask, spliced.inputs_embeds.dtype),
        position_ids=spliced.lengths[:, None] + depths,
        past_key_values=prefix.past_key_values,
        use_cache=True,
    )
    follows = _tensor([token for ids in wanted for token in ids[1:]], model).expand(len(prompts), -1)
    rest = model.logits(output.last_hidden_state).log_softmax(-1)
    rest = rest.gather(-1, follows[..., None]).squeeze(-1)
    owner = _tensor([k for k, ids in enumerate(fed) for _ in ids], model)
    return scores.index_add(1, owner, rest)


def _tensor(values: list[int], model: EmotionLlama) -> Tensor:
    return torch.tensor(values, dtype=torch.long, device=model.device)


def _branches(fed: Sequence[tuple[int, ...]], prefix_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive mask (B, 1, C, S + C): a candidate's token sees the prompt and its own earlier tokens."""
    owner = torch.tensor([k for k, ids in enumerate(fed) for _ in ids], device=prefix_mask.device)
    own = (owner[:, None] == owner[None, :]).tril()
    batch, count = len(prefix_mask), len(owner)
    sees = torch.cat([prefix_mask.bool()[:, None].expand(-1, count, -1), own.expand(batch, -1, -1)], dim=-1)
    mask = torch.zeros(sees.shape, dtype=dtype, device=prefix_mask.device)
    return mask.masked_fill(~sees, torch.finfo(dtype).min)[:, None]
