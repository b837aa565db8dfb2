"""Patch filters that a small Vision Transformer starts from, in closed form from pictures and targets.

From random filters a transformer of this size learns nothing in an hour on two cores. From filters that
whiten the patches (Coates and Ng 2011, "The importance of encoding versus training with sparse coding and
vector quantization") and that already regress the planted targets it learns in a minute. Knows no encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

REGULARISER = 3e-3  # of variances in normalised pixels: about the renderer's grain


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Linear filters `weight` (D, patch * patch) of grey patches and their `bias` (D,)."""

    weight: Tensor
    bias: Tensor


def patch_filters(pictures: Tensor, targets: Tensor, patch: int, dim: int, regressors: int) -> Filters:
    """`dim` filters for grey `pictures` (N, side, side) with `targets` (N, K), zero mean.

    For each place of the grid, `regressors` filters span what ridge regression of the targets on that
    patch predicts best; the rest are whitened principal components of the patches of all places. Every
    filter has variance 1 over the patches.
    """
    patches = _patches(pictures, patch)
    mean = patches.mean(dim=(0, 1))
    patches = patches - mean
    flat = patches.flatten(0, 1)
    spread = flat.T @ flat / len(flat)
    supervised = [_regressors(patches[:, place], targets, regressors) for place in range(patches.shape[1])]
    whitened = _principal(spread, dim - regressors * patches.shape[1])
    weight = torch.cat([*supervised, whitened], dim=1)
    weight = weight / (weight * (spread @ weight)).sum(dim=0).sqrt()
    return Filters(weight=weight.T.contiguous(), bias=-(mean @ weight))


def through_filters(pictures: Tensor, filters: Filters, patch: int) -> Tensor:
    """Grey `pictures` (N, side, side) to patches (N, places, D)."""
    return _patches(pictures, patch) @ filters.weight.T + filters.bias


def _patches(pictures: Tensor, patch: int) -> Tensor:
    """(N, side, side) to (N, places, patch * patch), row by row."""
    count, side, _ = pictures.shape
    grid = pictures.reshape(count, side // patch, patch, side // patch, patch)
    return grid.transpose(2, 3).reshape(count, (side // patch) ** 2, patch * patch)


def _regressors(patches: Tensor, targets: Tensor, count: int) -> Tensor:
    """(P, count): directions of the patches (N, P) whose predictions of the targets vary most."""
    centred = patches - patches.mean(dim=0)
    spread = centred.T @ centred / len(centred)
    ridge = spread + REGULARISER * torch.eye(len(spread))
    weights = torch.linalg.solve(ridge, centred.T @ targets / len(centred))
    _, directions = torch.linalg.eigh(weights.T @ spread @ weights)
    best: Tensor = weights @ directions.flip(1)[:, :count]
    return best


def _principal(spread: Tensor, count: int) -> Tensor:
    """(P, count): the first principal components, each scaled to about unit variance."""
    variances, components = torch.linalg.eigh(spread.double())
    scale = (variances.flip(0)[:count] + REGULARISER).sqrt()
    scaled: Tensor = components.flip(1)[:, :count] / scale
    return scaled.float()


def coloured_conv(filters: Filters, grey_patch: int, patch: int) -> Tensor:
    """The filters as a convolution (D, 3, patch, patch) that reads colour at a multiple of the resolution:
    the mean over channels and over blocks of pixels is the grey pixel the filters were made for."""
    zoom = patch // grey_patch
    grey = filters.weight.reshape(-1, 1, grey_patch, grey_patch) / (3 * zoom * zoom)
    return grey.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3).expand(-1, 3, -1, -1).contiguous()
