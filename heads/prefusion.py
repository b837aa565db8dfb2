"""ConvAttention: the pre-fusion of Emotion-LLaMA v2, which mixes features before the receiver sees them.

Every feature goes through an MLP to a small width at each of a number of steps. One branch weighs the
features against each other, step by step; the other lets neighbouring steps look at each other by
convolution; their sum is projected. Source of the shapes: Emotion-LLaMA v2, arXiv 2601.16449 and its code.

There an absent modality is fed as zeros that its MLP turns into something; here its mask keeps it out of
both branches. Knows only a FeatureBatch.

Axes: B batch, M features, N steps, D feature dim, W width, H hidden size of the receiver.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.batches import FeatureBatch

STEPS, WIDTH, FIRST, WIDE = 64, 128, 512, 256
BLOCKS, DROPOUT = 4, 0.1


class ConvAttention(nn.Module):
    """FeatureBatch to tokens (B, N, H); `dims` is D by feature.

    A feature may be a vector a clip (repeated at every step) or tokens (averaged to N steps, as `steps_of`
    does). With v2's features (audio 1280, image and video 1408) the module has 2,838,275 parameters before
    the projection to H, and 1,052,672 in it for H = 4096. Tokens of a clip without any feature mean nothing.
    """

    def __init__(self, dims: Mapping[str, int], hidden: int, steps: int = STEPS) -> None:
        super().__init__()
        self.steps = steps
        self.encoders = nn.ModuleDict({name: _mlp(dim) for name, dim in dims.items()})
        joined = len(dims) * WIDTH
        self.attention = nn.Sequential(_mlp(joined), nn.Linear(WIDTH, len(dims)))
        self.enter = nn.Conv1d(joined, WIDTH, 1)
        self.blocks = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 3, padding=1) for _ in range(BLOCKS))
        self.widen = nn.Linear(WIDTH, WIDE)
        self.linear = nn.Linear(WIDE, hidden)

    @property
    def out(self) -> nn.Linear:
        """The layer to the receiver's size."""
        return self.linear

    def forward(self, batch: FeatureBatch) -> Tensor:
        """(B, N, H). The weights of the features are raw, not a softmax, as in v2."""
        parts = [self._encoded(batch, name) for name in self.encoders]
        mask = torch.stack([batch.masks[name] for name in self.encoders], dim=1)  # (B, M)
        joined = torch.cat(parts, dim=-1)  # (B, N, M W)
        weights = self.attention(joined) * mask.unsqueeze(1)
        attended = torch.einsum("bnm,mbnw->bnw", weights, torch.stack(parts))
        projected: Tensor = self.linear(self.widen(attended + self._convolved(joined)))
        return projected

    def _encoded(self, batch: FeatureBatch, name: str) -> Tensor:
        """One feature at every step, (B, N, W); zeros where the clip lacks it."""
        encoded: Tensor = self.encoders[name](steps_of(batch.present(name), self.steps))
        return encoded * batch.masks[name].view(-1, 1, 1)

    def _convolved(self, joined: Tensor) -> Tensor:
        """(B, N, M W) to (B, N, W)."""
        mixed: Tensor = self.enter(joined.transpose(1, 2))
        for block in self.blocks:
            mixed = mixed + functional.silu(block(mixed))
        return mixed.transpose(1, 2)


def steps_of(values: Tensor, steps: int) -> Tensor:
    """(B, D), repeated, or (B, N, D), averaged over neighbours, to (B, steps, D)."""
    if values.dim() == 2:
        return values.unsqueeze(1).expand(-1, steps, -1)
    return functional.adaptive_avg_pool1d(values.transpose(1, 2), steps).transpose(1, 2)


def _mlp(in_dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_dim, FIRST), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(FIRST, WIDTH), nn.ReLU()
    )
