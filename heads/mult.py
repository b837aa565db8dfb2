"""MulT: every feature reads every other one, frame by frame, without aligning them.

Tsai et al. 2019, arXiv:1906.00295, section 3: a convolution over time to one width, for each target feature a
crossmodal transformer from each other one, a transformer over what they brought, and its last frame. Knows
only a FeatureBatch.

Axes: B batch, M features, N tokens, D feature dim, W width, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emo.heads.batches import FeatureBatch
from emo.heads.blocks import heads_that_divide, positions
from emo.heads.models import sequence


class CrossLayer(nn.Module):
    """A target attends to a source, then a feed-forward layer; layer norm first, as in section 3.1."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.target_norm, self.source_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, target: Tensor, source: Tensor, there: Tensor) -> Tensor:
        """The target (B, N, W) after it read the source (B, N', W) where `there` (B, N').

        From a source of which nothing is there a clip reads nothing.
        """
        some = there.any(dim=1, keepdim=True)
        keys = self.source_norm(source)
        read, _ = self.attention(
            self.target_norm(target), keys, keys, key_padding_mask=~there & some, need_weights=False
        )
        target = target + self.dropout(read) * some.unsqueeze(-1)
        fed: Tensor = self.dropout(self.feed_forward(self.forward_norm(target)))
        return target + fed


class MulT(nn.Module):
    """Convolution to `width`, `layers` crossmodal and as many plain layers, a residual MLP, logits (B, K).

    A source that is absent is not read; a target that is absent is a vector that is learned for it. With a
    single feature there is nothing to cross and its own transformer is all there is.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        classes: int,
        *,
        width: float = 32,
        layers: float = 2,
        heads: float = 4,
        kernel: float = 3,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        size, count = int(width), int(layers)
        parts = heads_that_divide(size, heads)
        self.names = tuple(dims)
        self.wide = size * max(1, len(dims) - 1)
        self.convolutions = nn.ModuleDict(
            {
                name: nn.Conv1d(dim, size, int(kernel), padding="same", bias=False)
                for name, dim in dims.items()
            }
        )
        self.crossed = nn.ModuleDict(
            {
                f"{target}<-{source}": _layers(size, parts, count, dropout)
                for target in dims
                for source in dims
                if source != target
            }
        )
        self.memories = nn.ModuleDict({name: _layers(self.wide, parts, count, dropout) for name in dims})
        self.norms = nn.ModuleDict({name: nn.LayerNorm(self.wide) for name in dims})
        self.absent = nn.ParameterDict({name: nn.Parameter(torch.zeros(self.wide)) for name in dims})
        total = self.wide * len(dims)
        self.residual = nn.Sequential(
            nn.Linear(total, total), nn.ReLU(), nn.Dropout(dropout), nn.Linear(total, total)
        )
        self.classifier = nn.Linear(total, classes)

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Logits (B, K)."""
        tokens, there = {}, {}
        for name in self.names:
            values, there[name] = sequence(batch, name)
            convolved = self.convolutions[name](values.transpose(1, 2)).transpose(1, 2)
            scaled = convolved * math.sqrt(convolved.shape[-1])
            tokens[name] = scaled + positions(*scaled.shape[1:]).to(scaled)
        lasts = []
        for name in self.names:
            last = self._last(name, tokens, there)
            lasts.append(torch.where(batch.masks[name].unsqueeze(1), last, self.absent[name]))
        joined = torch.cat(lasts, dim=1)
        logits: Tensor = self.classifier(joined + self.residual(joined))
        return logits

    def _last(self, name: str, tokens: Mapping[str, Tensor], there: Mapping[str, Tensor]) -> Tensor:
        """What the target `name` made of all others, at its last frame, (B, (M - 1) W)."""
        streams = [
            self._through(f"{name}<-{source}", tokens[name], tokens[source], there[source])
            for source in self.names
            if source != name
        ]
        stream = torch.cat(streams, dim=-1) if streams else tokens[name]
        memory = self.memories[name]
        assert isinstance(memory, nn.ModuleList)
        for layer in memory:
            stream = layer(stream, stream, there[name])
        end = (there[name].sum(dim=1) - 1).clamp(min=0)
        last: Tensor = self.norms[name](stream[torch.arange(len(end), device=end.device), end])
        return last

    def _through(self, pair: str, target: Tensor, source: Tensor, there: Tensor) -> Tensor:
        layers = self.crossed[pair]
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            target = layer(target, source, there)
        return target


def _layers(width: int, heads: int, count: int, dropout: float) -> nn.ModuleList:
    return nn.ModuleList(CrossLayer(width, heads, dropout) for _ in range(count))
