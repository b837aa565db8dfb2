"""Parts that several heads are made of. Knows no batches and no heads.

Axes: B batch, N tokens, D feature dim, W width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from emo.errors import ConfigError


class FeatureEncoder(nn.Sequential):
    """Dropout, then three linear layers with ReLU: (B, D) to (B, W).

    MLPEncoder of MERBench (Lian et al. 2024, arXiv:2401.03429), toolkit/models/modules/encoder.py.
    """

    def __init__(self, dim: int, width: int, dropout: float) -> None:
        super().__init__(
            nn.Dropout(dropout),
            nn.Linear(dim, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
        )


def with_one(hidden: Tensor, mask: Tensor) -> Tensor:
    """[h; 1] (B, W + 1), and [0; 1] where `mask` (B,) is False.

    In a product of several such vectors the terms with an absent one vanish and those among the others stay.
    """
    ones = hidden.new_ones(len(hidden), 1)
    return torch.cat([hidden * mask.unsqueeze(1), ones], dim=1)


def positions(count: int, width: int) -> Tensor:
    """Sinusoidal positions (N, W), section 3.5 of Vaswani et al. 2017."""
    place = torch.arange(count).unsqueeze(1)
    pace = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angles = place * pace
    table = torch.zeros(count, width)
    table[:, 0::2] = angles.sin()
    table[:, 1::2] = angles.cos()[:, : width // 2]
    return table


def heads_that_divide(width: int, heads: float) -> int:
    """`heads` as a whole number; ConfigError where `width` is no multiple of it."""
    count = int(heads)
    if count < 1 or width % count:
        raise ConfigError(f"width {width} is no multiple of {count} attention heads. Choose another width.")
    return count
