"""AttentionFusion: the features that are there, weighed against each other for each clip.

The attention head of MERBench (Lian et al. 2024, arXiv:2401.03429) scores each modality from all of them and
sums; its weights are raw linear outputs. Here they go through a softmax over the present features, so they
sum to 1 and can be shown. Knows only a FeatureBatch.

Axes: B batch, M features, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.batches import FeatureBatch
from emo.heads.blocks import whole
from emo.heads.models import utterance
from emo.heads.projectors import MLPProjector


class AttentionFusion(nn.Module):
    """Per-feature MLP to `width`, masked softmax attention over the features, logits (B, K).

    A clip without any feature gets the logits of a learned vector: a prior over the classes.
    """

    def __init__(
        self, dims: Mapping[str, int], classes: int, *, width: float = 128, dropout: float = 0.3
    ) -> None:
        super().__init__()
        size = whole("width", width)
        self.projectors = nn.ModuleDict(
            {name: MLPProjector(dim, size, dropout) for name, dim in dims.items()}
        )
        self.score = nn.Sequential(
            nn.Linear(len(dims) * size, size), nn.GELU(), nn.Dropout(dropout), nn.Linear(size, len(dims))
        )
        self.nothing = nn.Parameter(torch.zeros(size))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, classes))

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Logits (B, K)."""
        tokens, mask = self._tokens(batch)
        weights = self._attention(tokens, mask)
        fused = (weights.unsqueeze(-1) * tokens).sum(dim=1)
        logits: Tensor = self.classifier(torch.where(mask.any(dim=1, keepdim=True), fused, self.nothing))
        return logits

    def weights(self, batch: FeatureBatch) -> Tensor:
        """How much each feature counted, (B, M) in the order of `projectors`; rows sum to 1, or to 0."""
        return self._attention(*self._tokens(batch))

    def _tokens(self, batch: FeatureBatch) -> tuple[Tensor, Tensor]:
        tokens = [projector(utterance(batch, name)) for name, projector in self.projectors.items()]
        mask = torch.stack([batch.masks[name] for name in self.projectors], dim=1)  # (B, M)
        encoded = functional.gelu(torch.cat(tokens, dim=1))  # (B, M, W)
        return encoded * mask.unsqueeze(-1), mask

    def _attention(self, tokens: Tensor, mask: Tensor) -> Tensor:
        scores: Tensor = self.score(tokens.flatten(1))
        # Rows without any feature keep their raw scores: a softmax over nothing but -inf would be NaN.
        hidden = ~mask & mask.any(dim=1, keepdim=True)
        return scores.masked_fill(hidden, -torch.inf).softmax(dim=1) * mask
