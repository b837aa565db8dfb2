"""BilinearPooling: factorised bilinear pooling of every pair of features.

Yu et al. 2017, arXiv:1708.01471, equations 2 to 5: an output is x' U V' y with U and V of `factors` columns;
the outputs of a pair are taken to their signed square root and to length 1. Knows only a FeatureBatch.

Axes: B batch, P pairs, F factors, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.batches import FeatureBatch
from emo.heads.blocks import FeatureEncoder
from emo.heads.models import utterance

TINY = 1e-8


class BilinearPooling(nn.Module):
    """Per-feature encoder to (B, W), pooled pairs of W outputs each, concatenated, logits (B, K).

    A pair of which one is absent pools the other with ones, the neutral element; a pair of two absent
    features is zeros. A single feature is paired with ones.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        classes: int,
        *,
        width: float = 64,
        factors: float = 4,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.width, self.count = int(width), int(factors)
        names = list(dims)
        self.pairs = list(combinations(names, 2)) if len(names) > 1 else [(names[0], "")]
        self.encoders = nn.ModuleDict(
            {name: FeatureEncoder(dim, self.width, dropout) for name, dim in dims.items()}
        )
        self.sides = nn.ModuleList(
            nn.ModuleList(nn.Linear(self.width, self.width * self.count, bias=False) for name in pair if name)
            for pair in self.pairs
        )
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(len(self.pairs) * self.width, self.width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(self.width, classes),
        )

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Logits (B, K)."""
        hidden = {name: encoder(utterance(batch, name)) for name, encoder in self.encoders.items()}
        logits: Tensor = self.classifier(self.fuse(hidden, batch.masks))
        return logits

    def fuse(self, hidden: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
        """The pooled pairs (B, P W) of encoded features (B, W) by name."""
        return torch.cat([self._pooled(number, hidden, masks) for number in range(len(self.pairs))], dim=1)

    def _pooled(self, number: int, hidden: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
        names = [name for name in self.pairs[number] if name]
        sides = self.sides[number]
        assert isinstance(sides, nn.ModuleList)
        product = hidden[names[0]].new_ones(())
        for name, side in zip(names, sides, strict=True):
            product = product * torch.where(masks[name].unsqueeze(1), side(hidden[name]), 1.0)
        sums = product.view(-1, self.width, self.count).sum(dim=2)
        rooted = sums.sign() * (sums.abs() + TINY).sqrt()
        there = torch.stack([masks[name] for name in names]).any(dim=0)
        return functional.normalize(rooted, dim=1) * there.unsqueeze(1)
