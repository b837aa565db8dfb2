"""Attention within the spans of a packed row, through the attention interface of transformers.

A forward without spans takes the library's own SDPA, number for number. Knows no batches and no loss.
Interface: https://huggingface.co/docs/transformers/attention_interface

Axes: A attention heads, G key heads, S tokens, R queries, D head dim.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.llm.packing.spans import Span, Spans

NAME = "emo_spans"


def use_spans(causal: nn.Module) -> None:
    """Let every attention layer of a transformers causal LM understand `spans`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    causal.set_attn_implementation(NAME)  # type: ignore[operator]


def no_mask(like: Tensor) -> Tensor:
    """What stands for the mask of a packed row: four axes, so transformers hands it on and makes none."""
    return like.new_zeros(1, 1, 1, 1)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    spans: Spans | None = None,
    all_keys: tuple[Tensor, Tensor] | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """`query` (1, A, R, D), `key` and `value` (1, G, S, D) to (1, R, A, D); batches as usual without `spans`.

    `all_keys` are keys and values for more tokens than there are queries; they replace `key` and `value`.
    A query sees the last `sliding_window` keys of its span, itself among them.
    """
    if spans is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        given = {"scaling": scaling, "dropout": dropout, "sliding_window": sliding_window, **others}
        return cast(
            tuple[Tensor, None], sdpa_attention_forward(module, query, key, value, attention_mask, **given)
        )
    key, value = all_keys or (key, value)
    if query.is_cuda and query.dtype in (torch.float16, torch.bfloat16):
        return _in_one_call(query, key, value, spans, scaling, sliding_window), None
    return _span_by_span(query, key, value, spans, scaling, dropout, sliding_window), None


def _span_by_span(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    spans: Spans,
    scaling: float | None,
    dropout: float,
    window: int | None,
) -> Tensor:
    """One SDPA a span; on a CPU that is as fast as one call, and exact."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (one.repeat_interleave(groups, dim=1) for one in (key, value))
    parts = []
    for number, span in enumerate(spans.spans):
        near = window if window is not None and span.keys > window else None
        causal = span.causal and near is None
        part = functional.scaled_dot_product_attention(
            query[:, :, span.first : span.last],
            _seen(key, span),
            _seen(value, span),
            attn_mask=None if causal else spans.mask(number, query, near),
            is_causal=causal,
            dropout_p=dropout,
            scale=scaling,
        )
        parts.append(part.transpose(1, 2))
    return torch.cat(parts, dim=1)


def _seen(tensor: Tensor, span: Span) -> Tensor:
    own = tensor[:, :, span.own : span.stop]
    return torch.cat([tensor[:, :, slice(*span.prefix)], own], dim=2) if span.shared else own


def _in_one_call(
    query: Tensor, key: Tensor, value: Tensor, spans: Spans, scaling: float | None, window: int | None
) -> Tensor:
    """Flash attention over all spans; causal there is aligned at the last key, which is what a span is."""
    from torch.nn.attention.varlen import varlen_attn

    places = spans.gathered(query.device)
    keys, values = (one[0].transpose(0, 1) for one in (key, value))
    if places is not None:
        keys, values = keys[places], values[places]
    query_bounds, key_bounds = spans.bounds(query.device)
    out = varlen_attn(
        query[0].transpose(0, 1),
        keys,
        values,
        query_bounds,
        key_bounds,
        max(span.last - span.first for span in spans.spans),
        spans.longest,
        scale=scaling,
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return cast(Tensor, out)[None]
