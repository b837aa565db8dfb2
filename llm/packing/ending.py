"""The last layer of a decoder for the tokens that predict something: query, output and MLP for those alone.

Its keys and values are still made for every token. The layer itself stays the library's own: it is handed
fewer hidden states, and its attention the keys of all. Knows no loss.

Axes: S tokens, R tokens that predict, H hidden, D head dim.
"""

from __future__ import annotations

import sys
from typing import Any, cast

from torch import Tensor, nn

from emo.llm.packing.spans import Spans

# Models whose layers have the form that `_keys` takes apart; others go through their last layer whole.
KNOWN = {"llama", "mistral", "qwen2", "qwen3"}


def trim_last_layer(causal: nn.Module) -> bool:
    """Let the last layer of a causal LM follow `Spans.ending`; False where its form is unknown."""
    if cast(Any, causal).config.model_type not in KNOWN:
        return False
    layer = cast(Any, causal).base_model.layers[-1]
    if _only_predicting not in layer._forward_pre_hooks.values():  # one base may serve several models
        layer.register_forward_pre_hook(_only_predicting, with_kwargs=True)
    return True


def _only_predicting(
    layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    spans: Spans | None = kwargs.get("spans")
    if spans is None or spans.ending is None:
        return None
    rows, ending = spans.ending
    hidden: Tensor = args[0]
    angles: tuple[Tensor, Tensor] = kwargs["position_embeddings"]
    changed = {
        **kwargs,
        "spans": ending,
        "all_keys": _keys(layer, hidden, angles),
        "position_embeddings": tuple(one[:, rows] for one in angles),
        "position_ids": kwargs["position_ids"][:, rows],
    }
    return (hidden[:, rows], *args[1:]), changed


def _keys(layer: nn.Module, hidden: Tensor, angles: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Keys with their positions and values of every token, (1, G, S, D)."""
    parts = cast(Any, layer)
    attention = parts.self_attn
    normed = parts.input_layernorm(hidden)
    shape = (*hidden.shape[:-1], -1, attention.head_dim)
    key = attention.k_proj(normed).view(shape)
    if hasattr(attention, "k_norm"):
        key = attention.k_norm(key)
    key = key.transpose(1, 2)
    rotate = sys.modules[type(attention).__module__].apply_rotary_pos_emb
    _, key = rotate(key[:, :0], key, *angles)
    return key, attention.v_proj(normed).view(shape).transpose(1, 2)
