"""MISA: what features share and what is each one's own, kept apart by three losses.

Hazarika et al. 2020, arXiv:2005.03545: a shared and a private encoder, a transformer layer over both kinds of
all features. Losses: central moment discrepancy pulls the shared parts together (equation 6), squared
correlations push shared and private apart (equation 8), and both together rebuild the feature (equation 9).
A clip counts in a loss where its features are there. Knows only a FeatureBatch.

Axes: B batch, M features, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.batches import FeatureBatch
from emo.heads.blocks import heads_that_divide
from emo.heads.models import utterance

MOMENTS = 5


class MISA(nn.Module):
    """Projection to `width`, private and shared vectors, one transformer layer, an MLP, logits (B, K).

    `similarity`, `difference` and `reconstruction` weigh the losses.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        classes: int,
        *,
        width: float = 64,
        heads: float = 2,
        dropout: float = 0.3,
        similarity: float = 0.1,
        difference: float = 0.1,
        reconstruction: float = 0.1,
    ) -> None:
        super().__init__()
        size = int(width)
        self.weights = (similarity, difference, reconstruction)
        self.projections = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(dim, size), nn.ReLU(), nn.LayerNorm(size))
                for name, dim in dims.items()
            }
        )
        self.private = nn.ModuleDict({name: _sigmoid_layer(size) for name in dims})
        self.shared = _sigmoid_layer(size)
        self.decoders = nn.ModuleDict({name: nn.Linear(size, size) for name in dims})
        self.fusion = nn.TransformerEncoderLayer(
            size, heads_that_divide(size, heads), 4 * size, dropout, batch_first=True
        )
        self.classifier = nn.Sequential(
            nn.Linear(2 * len(dims) * size, len(dims) * size),
            nn.Dropout(dropout),
            nn.ReLU(),
            nn.Linear(len(dims) * size, classes),
        )

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Logits (B, K)."""
        _, private, shared = self._parts(batch)
        return self._logits(batch, private, shared)

    def logits_and_loss(self, batch: FeatureBatch) -> tuple[Tensor, Tensor]:
        """Logits (B, K), and the weighted sum of the three losses."""
        projected, private, shared = self._parts(batch)
        losses = (
            self._similarity(shared, batch.masks),
            self._difference(private, shared, batch.masks),
            self._reconstruction(projected, private, shared, batch.masks),
        )
        total = torch.stack([weight * loss for weight, loss in zip(self.weights, losses, strict=True)]).sum()
        return self._logits(batch, private, shared), total

    def _parts(self, batch: FeatureBatch) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        projected = {name: layer(utterance(batch, name)) for name, layer in self.projections.items()}
        private = {name: self.private[name](value) for name, value in projected.items()}
        shared = {name: self.shared(value) for name, value in projected.items()}
        return projected, private, shared

    def _logits(self, batch: FeatureBatch, private: dict[str, Tensor], shared: dict[str, Tensor]) -> Tensor:
        tokens = torch.stack([*private.values(), *shared.values()], dim=1)  # (B, 2 M, W)
        mask = torch.stack([batch.masks[name] for name in private], dim=1).repeat(1, 2)
        # A row without any feature attends to all: a softmax over nothing but -inf would be NaN.
        hidden = ~mask & mask.any(dim=1, keepdim=True)
        fused = self.fusion(tokens * mask.unsqueeze(-1), src_key_padding_mask=hidden) * mask.unsqueeze(-1)
        logits: Tensor = self.classifier(fused.flatten(1))
        return logits

    def _similarity(self, shared: dict[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
        pairs = [(shared[a], shared[b], masks[a] & masks[b]) for a, b in combinations(shared, 2)]
        return _mean_over(pairs, central_moment_discrepancy, next(iter(shared.values())))

    def _difference(
        self, private: dict[str, Tensor], shared: dict[str, Tensor], masks: Mapping[str, Tensor]
    ) -> Tensor:
        pairs = [(private[name], shared[name], masks[name]) for name in private]
        pairs += [(private[a], private[b], masks[a] & masks[b]) for a, b in combinations(private, 2)]
        return _mean_over(pairs, squared_correlation, next(iter(private.values())))

    def _reconstruction(
        self,
        projected: dict[str, Tensor],
        private: dict[str, Tensor],
        shared: dict[str, Tensor],
        masks: Mapping[str, Tensor],
    ) -> Tensor:
        rebuilt = {name: self.decoders[name](private[name] + shared[name]) for name in private}
        pairs = [(rebuilt[name], projected[name], masks[name]) for name in private]
        return _mean_over(pairs, functional.mse_loss, next(iter(private.values())))


def central_moment_discrepancy(one: Tensor, other: Tensor) -> Tensor:
    """Sum of the distances between the means, and between the central moments 2 to 5, of two (B, W) sets."""
    means = one.mean(dim=0), other.mean(dim=0)
    total: Tensor = torch.linalg.vector_norm(means[0] - means[1])
    centred = one - means[0], other - means[1]
    for order in range(2, MOMENTS + 1):
        moments = [part.pow(order).mean(dim=0) for part in centred]
        total = total + torch.linalg.vector_norm(moments[0] - moments[1])
    return total


def squared_correlation(one: Tensor, other: Tensor) -> Tensor:
    """Mean square of A' B (W, W), of rows centred over the batch and scaled to length 1; 0 is orthogonal."""
    sides = [functional.normalize(part - part.mean(dim=0), dim=1, eps=1e-6) for part in (one, other)]
    correlations: Tensor = (sides[0].T @ sides[1]).square()
    return correlations.mean()


def _sigmoid_layer(size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, size), nn.Sigmoid())


def _mean_over(
    pairs: Sequence[tuple[Tensor, Tensor, Tensor]], loss: Callable[[Tensor, Tensor], Tensor], like: Tensor
) -> Tensor:
    """The mean of `loss` over pairs, each over the clips that have both; 0 where no clip has."""
    found = [loss(one[mask], other[mask]) for one, other, mask in pairs if bool(mask.any())]
    return torch.stack(found).mean() if found else like.new_zeros(())
