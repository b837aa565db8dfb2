"""ConcatMLP: project every feature, concatenate, classify.

Knows only a FeatureBatch. Axes: B batch, M features, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emo.heads.batches import FeatureBatch
from emo.heads.blocks import whole
from emo.heads.models import utterance
from emo.heads.projectors import LinearProjector


class ConcatMLP(nn.Module):
    """Per-feature projector to `width`, concatenation, an MLP of one hidden layer, logits (B, K).

    An absent feature is replaced by a vector that is learned for it, not by zeros.
    """

    def __init__(
        self, dims: Mapping[str, int], classes: int, *, width: float = 128, dropout: float = 0.3
    ) -> None:
        super().__init__()
        size = whole("width", width)
        self.projectors = nn.ModuleDict({name: LinearProjector(dim, size) for name, dim in dims.items()})
        self.absent = nn.ParameterDict({name: nn.Parameter(torch.zeros(size)) for name in dims})
        self.classifier = nn.Sequential(
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(len(dims) * size, size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(size, classes),
        )

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Logits (B, K)."""
        parts = []
        for name, projector in self.projectors.items():
            token = projector(utterance(batch, name)).squeeze(1)
            parts.append(torch.where(batch.masks[name].unsqueeze(1), token, self.absent[name]))
        logits: Tensor = self.classifier(torch.cat(parts, dim=1))
        return logits
