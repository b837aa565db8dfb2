"""TensorFusion: the outer product of all features, flattened.

Zadeh et al. 2017, arXiv:1707.07250, section 4.2: with a 1 appended to each feature the product holds every
feature, every pair and so on up to all of them. Knows only a FeatureBatch.

Axes: B batch, M features, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch
from emo.heads.blocks import FeatureEncoder, with_one
from emo.heads.models import utterance

MOST_PRODUCTS = 200_000  # (W + 1) ** M: inputs of the first layer behind the product
WANTED_PRODUCTS = 20_000
WIDEST = 32


class TensorFusion(nn.Module):
    """Per-feature encoder to z (B, W), outer product of all [z; 1], two hidden layers, logits (B, K).

    `width` 0 is the largest up to 32 whose product has at most 20,000 terms: 32 for two features, 26 for
    three, 10 for four. An absent feature is [0; 1]. ConfigError above 200,000 terms.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        classes: int,
        *,
        width: float = 0,
        hidden: float = 128,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        size, behind = int(width) or fitting_width(len(dims)), int(hidden)
        terms = (size + 1) ** len(dims)
        if terms > MOST_PRODUCTS:
            raise ConfigError(
                f"tfn: {len(dims)} features of width {size} have {terms:,} products, more than "
                f"{MOST_PRODUCTS:,}. Choose a smaller width, fewer features, or lmf."
            )
        self.encoders = nn.ModuleDict(
            {name: FeatureEncoder(dim, size, dropout) for name, dim in dims.items()}
        )
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(terms, behind),
            nn.ReLU(),
            nn.Linear(behind, behind),
            nn.ReLU(),
            nn.Linear(behind, classes),
        )

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Logits (B, K)."""
        hidden = {name: encoder(utterance(batch, name)) for name, encoder in self.encoders.items()}
        logits: Tensor = self.classifier(self.fuse(hidden, batch.masks))
        return logits

    def fuse(self, hidden: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
        """The outer product (B, (W + 1) ** M) of encoded features (B, W); the last runs fastest."""
        product = next(iter(hidden.values())).new_ones(len(next(iter(masks.values()))), 1)
        for name in self.encoders:
            product = torch.einsum("bp,bi->bpi", product, with_one(hidden[name], masks[name])).flatten(1)
        return product


def fitting_width(features: int) -> int:
    """The largest W up to WIDEST with (W + 1) ** features at most WANTED_PRODUCTS, at least 1."""
    fits = [width for width in range(1, WIDEST + 1) if (width + 1) ** features <= WANTED_PRODUCTS]
    return fits[-1] if fits else 1
