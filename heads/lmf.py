"""LowRankFusion: the tensor product of all features, against a weight tensor of low rank.

Liu et al. 2018, arXiv:1806.00064, equations 6 to 9: the weight tensor is a sum of `rank` outer products, so
the product of all features is never made. Knows only a FeatureBatch.

Axes: B batch, R rank, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emo.heads.batches import FeatureBatch
from emo.heads.blocks import FeatureEncoder, with_one
from emo.heads.models import utterance


class LowRankFusion(nn.Module):
    """Per-feature encoder to z (B, W), sum over ranks of the product of all [z; 1] U, logits (B, K).

    An absent feature is [0; 1]: its interactions vanish, those of the others stay.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        classes: int,
        *,
        width: float = 128,
        rank: float = 4,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        size, ranks = int(width), int(rank)
        self.encoders = nn.ModuleDict(
            {name: FeatureEncoder(dim, size, dropout) for name, dim in dims.items()}
        )
        self.factors = nn.ParameterDict(
            {name: nn.Parameter(torch.empty(ranks, size + 1, size)) for name in dims}
        )
        self.rank_weights = nn.Parameter(torch.empty(1, ranks))
        self.bias = nn.Parameter(torch.zeros(size))
        for parameter in (*self.factors.values(), self.rank_weights):
            nn.init.xavier_normal_(parameter)
        for factor in self.factors.values():
            # near 1 for the 1 of [z; 1]: a product of many factors of spread 0.1 would start at nothing
            nn.init.normal_(factor[:, -1], mean=1.0, std=0.1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, classes))

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Logits (B, K)."""
        hidden = {name: encoder(utterance(batch, name)) for name, encoder in self.encoders.items()}
        logits: Tensor = self.classifier(self.fuse(hidden, batch.masks))
        return logits

    def fuse(self, hidden: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
        """The fused vector (B, W) of encoded features (B, W) by name."""
        parts = [
            torch.einsum("bi,rio->bro", with_one(hidden[name], masks[name]), factor)
            for name, factor in self.factors.items()
        ]
        product = torch.stack(parts).prod(dim=0)  # (B, R, W)
        return torch.einsum("r,bro->bo", self.rank_weights[0], product) + self.bias
