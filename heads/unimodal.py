"""UnimodalMLP: an MLP for each feature; where there are several, their logits are averaged.

With one feature it is the unimodal baseline of MER2023 (Lian et al. 2023, arXiv:2304.08981: layers 256 and
128), with several late fusion of such baselines. Knows only a FeatureBatch.

Axes: B batch, M features, D feature dim, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emo.heads.batches import FeatureBatch
from emo.heads.models import utterance


class UnimodalMLP(nn.Module):
    """Layers of 2 `width` and `width` a feature, logits (B, K) averaged over the features that are there.

    A clip without any feature gets learned logits: a prior over the classes.
    """

    def __init__(
        self, dims: Mapping[str, int], classes: int, *, width: float = 128, dropout: float = 0.5
    ) -> None:
        super().__init__()
        size = int(width)
        self.networks = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(dim, 2 * size),
                    nn.ReLU(),
                    nn.Dropout(dropout),
                    nn.Linear(2 * size, size),
                    nn.ReLU(),
                    nn.Dropout(dropout),
                    nn.Linear(size, classes),
                )
                for name, dim in dims.items()
            }
        )
        self.nothing = nn.Parameter(torch.zeros(classes))

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Logits (B, K)."""
        every = torch.stack(
            [network(utterance(batch, name)) for name, network in self.networks.items()], dim=1
        )
        mask = torch.stack([batch.masks[name] for name in self.networks], dim=1)  # (B, M)
        present = mask.sum(dim=1, keepdim=True)
        mean = (every * mask.unsqueeze(-1)).sum(dim=1) / present.clamp(min=1)
        return torch.where(present > 0, mean, self.nothing)
