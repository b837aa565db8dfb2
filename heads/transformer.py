"""TransformerFusion: the tokens of all features in one sequence through a transformer encoder.

Single-stream fusion with the encoder of Vaswani et al. 2017, arXiv:1706.03762, layer norm first: a class
token reads whatever is there. Knows only a FeatureBatch.

Axes: B batch, N tokens, D feature dim, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emo.heads.batches import FeatureBatch
from emo.heads.blocks import heads_that_divide, positions
from emo.heads.models import sequence
from emo.heads.projectors import LinearProjector


class TransformerFusion(nn.Module):
    """Per-feature projector, an embedding of the feature, encoder layers, logits (B, K) of the class token.

    Tokens of absent features, and those behind the end of a clip, are attended by nobody.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        classes: int,
        *,
        width: float = 64,
        layers: float = 2,
        heads: float = 4,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        size = int(width)
        self.projectors = nn.ModuleDict({name: LinearProjector(dim, size) for name, dim in dims.items()})
        self.kinds = nn.ParameterDict({name: nn.Parameter(0.02 * torch.randn(size)) for name in dims})
        self.class_token = nn.Parameter(0.02 * torch.randn(size))
        layer = nn.TransformerEncoderLayer(
            size, heads_that_divide(size, heads), 4 * size, dropout, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, int(layers), nn.LayerNorm(size), enable_nested_tensor=False
        )
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, classes))

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Logits (B, K)."""
        tokens = [self.class_token.expand(len(batch), 1, -1)]
        there = [torch.ones(len(batch), 1, dtype=torch.bool, device=self.class_token.device)]
        for name, projector in self.projectors.items():
            values, mask = sequence(batch, name)
            projected = projector(values) + self.kinds[name]
            tokens.append(projected + positions(*projected.shape[1:]).to(projected))
            there.append(mask)
        hidden = self.encoder(torch.cat(tokens, dim=1), src_key_padding_mask=~torch.cat(there, dim=1))
        logits: Tensor = self.classifier(hidden[:, 0])
        return logits
