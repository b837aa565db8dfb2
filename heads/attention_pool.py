"""AttentionPool: a fixed number of learned queries look at any number of tokens, as in a Q-Former.

One block of cross-attention and one MLP; the Q-Former of BLIP-2 (Li et al. 2023, arXiv:2301.12597) stacks
twelve with self-attention between. Knows no encoder and no receiver.

Axes: B batch, N tokens, D feature dim, Q queries, W width, H hidden size of the receiver.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

QUERIES, WIDTH, HEADS = 4, 256, 4


class AttentionPool(nn.Module):
    """(B, N, D) to (B, Q, H); a vector a clip, (B, D), counts as one token.

    Without positions: the order of the tokens says nothing, and a token more under a False mask changes
    nothing.
    """

    def __init__(self, in_dim: int, hidden: int, queries: int = QUERIES, width: int = WIDTH) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width) / width**0.5)
        self.norm = nn.LayerNorm(in_dim)
        self.keys = nn.Linear(in_dim, width)
        self.values = nn.Linear(in_dim, width)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        self.linear = nn.Linear(width, hidden)

    @property
    def out(self) -> nn.Linear:
        """The layer to the receiver's size."""
        return self.linear

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask` (B, N) is False where a token is padding; a row without any token looks at nothing and
        gives what the queries alone give."""
        tokens = self.norm(values.unsqueeze(1) if values.dim() == 2 else values)
        seen = self._look(self.keys(tokens), self.values(tokens), mask)
        projected: Tensor = self.linear(seen + self.mlp(seen))
        return projected

    def _look(self, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Cross-attention with a residual of the queries, (B, Q, W)."""
        queries = self.queries.expand(len(keys), -1, -1)
        hidden = None
        if (
            mask is not None
        ):  # nothing but -inf would be NaN: an empty row keeps its keys and loses its values
            empty = ~mask.any(dim=1)
            values = torch.where(mask.unsqueeze(-1), values, values.new_zeros(()))
            keys = torch.where(mask.unsqueeze(-1), keys, keys.new_zeros(()))
            hidden = (mask | empty.unsqueeze(1))[:, None, None, :]
        found = functional.scaled_dot_product_attention(
            _by_head(queries), _by_head(keys), _by_head(values), attn_mask=hidden
        )
        return queries + found.transpose(1, 2).flatten(2)

    def condense(self, values: Tensor) -> Tensor:
        """All of it: which tokens count is learnt."""
        return values

    def mean(self, condensed: Tensor) -> Tensor:
        """(B, D) or (B, N, D) to (B, H)."""
        return self(condensed).mean(dim=1)  # type: ignore[no-any-return]

    def tokens(self, shape: Sequence[int]) -> int:
        """As many as there are queries."""
        return len(self.queries)


def _by_head(values: Tensor) -> Tensor:
    """(B, N, W) to (B, heads, N, W / heads)."""
    batch, count, width = values.shape
    return values.view(batch, count, HEADS, width // HEADS).transpose(1, 2)
