"""What vision learners look at: pictures in several views, through a first layer of fitted patch filters.

A view mirrors, shifts and zooms a picture and what is planted in it alike. Since the first layer stays as
it is fitted, every picture goes through it once and training sees patches only. Knows no encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from emo.corpora.rendered.units import UNITS
from emo.extractors.pixels import Triple, normalise
from emo.pipeline.tiny_filters import coloured_conv, patch_filters, through_filters
from emo.pipeline.tiny_people import Faces

HELD_OUT = 0.04  # share of the people kept to measure on
GEOMETRY = 0.2  # weight of a geometry target against one of a unit
FITTED_CLIPS = 1500  # as many clips decide the filters
BOX = 4  # numbers of geometry that are the box; three of the turn follow, then the shape
REGRESSORS = 8  # of so many filters one regresses targets, at each place


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """How pictures are looked at.

    Patches of `patch` pixels a side in colour, half as many in grey, `dim` filters, `mean` and `std` of the
    encoder's pixels; `views` views besides the one as it is, shifted across by at most `shift` of the side
    (half as much up and down) and zoomed by at most `zoom`. `fitted_views` of all decide the filters.
    `cropped` says that the planted boxes are shares of these very pictures.
    """

    patch: int
    dim: int
    mean: Triple
    std: Triple
    views: int
    shift: float
    zoom: float
    fitted_views: int = 1
    cropped: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Patches:
    """A fitted first layer and pictures seen through it.

    `weight` (D, 3, patch, patch), `bias` (D,), `values` (V, N, M, 4, D) half precision, `targets`
    (V, N, M, K) at unit variance and how much each counts, `weights` (K,). View 0 is the pictures as
    they are.
    """

    weight: Tensor
    bias: Tensor
    values: Tensor
    targets: Tensor
    weights: Tensor


def look_at(
    pictures: NDArray[np.uint8], faces: Faces, moments: slice, look: Look, rng: np.random.Generator
) -> Patches:
    """Fit filters on `pictures` (N, M, S, S, 3) of the `moments` of `faces`, and see all through them."""
    count = trained_on(len(pictures))
    views = draw_views(rng, look.views, len(pictures), look.shift, look.zoom)
    targets = planted_targets(faces, views, count)[:, :, moments]
    weights = target_weights(targets.shape[-1], look.cropped)
    grey = _grey_views(pictures, views, look)
    some = slice(0, look.fitted_views), slice(0, min(FITTED_CLIPS, count))
    wanted = (targets[some] * weights).flatten(0, 2)
    filters = patch_filters(
        grey[some].flatten(0, 2).float(), wanted, look.patch // 2, look.dim, look.dim // REGRESSORS
    )
    values = torch.empty(*grey.shape[:3], 4, look.dim, dtype=torch.half)
    for view, seen in enumerate(grey):
        for clip, picture in enumerate(seen):
            values[view, clip] = through_filters(picture.float(), filters, look.patch // 2)
    weight = coloured_conv(filters, look.patch // 2, look.patch)
    return Patches(weight=weight, bias=filters.bias, values=values, targets=targets, weights=weights)


def _grey_views(pictures: NDArray[np.uint8], views: PictureViews, look: Look) -> Tensor:
    """(V, N, M, patch, patch) half precision: two by two patches of half the resolution."""
    grey = torch.empty(len(views.zoom), *pictures.shape[:2], look.patch, look.patch, dtype=torch.half)
    for clip, picture in enumerate(pictures):
        whole = _grey(picture, look.mean, look.std)
        for view in range(len(grey)):
            grey[view, clip] = views.look(whole, view, clip, look.patch)
    return grey


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureViews:
    """How each view V shows each clip N: `mirror` (V, N) is 1 or -1, `zoom` (V, N), `shift` (V, N, 2) in
    half sides. View 0 is mirror 1, zoom 1, shift 0."""

    mirror: Tensor
    zoom: Tensor
    shift: Tensor

    def look(self, grey: Tensor, view: int, clip: int, side: int) -> Tensor:
        """Grey pictures (M, S, S) of one clip as (M, side, side): means of two by two at twice that."""
        across, down = self.zoom[view, clip] * self.mirror[view, clip], self.zoom[view, clip]
        x, y = self.shift[view, clip]
        turn = torch.tensor([[across, 0.0, x], [0.0, down, y]])
        shape = [len(grey), 1, *grey.shape[1:]]
        grid = functional.affine_grid(turn.expand(len(grey), 2, 3), shape, align_corners=False)
        seen = functional.grid_sample(grey[:, None], grid, padding_mode="border", align_corners=False)
        if grey.shape[1] != 2 * side:
            seen = functional.interpolate(seen, (2 * side, 2 * side), mode="bilinear", antialias=True)
        return functional.avg_pool2d(seen, 2)[:, 0]

    def place(self, boxes: Tensor) -> Tensor:
        """Boxes (V, N, M, 4) in shares of a picture, as they are in each view."""
        zoom, shift = self.zoom[..., None, None], self.shift[:, :, None]
        x = (2 * boxes[..., 0::2] - 1 - shift[..., :1]) / zoom * self.mirror[..., None, None]
        y = (2 * boxes[..., 1::2] - 1 - shift[..., 1:]) / zoom
        x = x.sort(dim=-1).values
        return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], dim=-1) / 2 + 0.5


def draw_views(rng: np.random.Generator, views: int, clips: int, shift: float, zoom: float) -> PictureViews:
    """`views` more views than the one as it is, half of them mirrored."""
    mirror = np.where(rng.random((views, clips)) < 0.5, -1.0, 1.0)
    zooms = 1 + rng.uniform(-zoom, zoom, (views, clips))
    shifts = rng.uniform(-1, 1, (views, clips, 2)) * (2 * shift, shift)
    return PictureViews(
        mirror=torch.cat([torch.ones(1, clips), torch.from_numpy(mirror).float()]),
        zoom=torch.cat([torch.ones(1, clips), torch.from_numpy(zooms).float()]),
        shift=torch.cat([torch.zeros(1, clips, 2), torch.from_numpy(shifts).float()]),
    )


def planted_targets(faces: Faces, views: PictureViews, count: int) -> Tensor:
    """(V, N, M, K): units, boxes, roll, yaw and gaze, shape, standardised over view 0's first `count`."""
    units, geometry = torch.from_numpy(np.array(faces.units)), torch.from_numpy(np.array(faces.geometry))
    copies = len(views.zoom)
    turns = geometry[..., BOX : BOX + 3] * views.mirror[..., None, None]
    still = geometry[..., BOX + 3 :].expand(copies, *[-1] * geometry.ndim)
    boxes = views.place(geometry[..., :BOX].expand(copies, *[-1] * geometry.ndim))
    everything = torch.cat([units.expand(copies, *[-1] * units.ndim), boxes, turns, still], dim=-1)
    flat = everything[0, :count].flatten(0, 1)
    return (everything - flat.mean(dim=0)) / (flat.std(dim=0) + 1e-6)


def target_weights(count: int, boxes: bool) -> Tensor:
    """(count,): 1 for every unit, less for the geometry behind them, 0 for its boxes if not `boxes`."""
    weights = torch.full((count,), GEOMETRY)
    weights[: len(UNITS)] = 1
    weights[len(UNITS) : len(UNITS) + BOX] *= boxes
    return weights


def _grey(clip: NDArray[np.uint8], mean: Triple, std: Triple) -> Tensor:
    """(M, S, S, 3) uint8 to grey (M, S, S): the mean of the normalised channels."""
    return torch.from_numpy(normalise(clip, mean, std)).mean(dim=1)


def trained_on(people: int) -> int:
    """How many of so many people are trained on; the rest, two at least, are measured on."""
    return people - max(2, round(HELD_OUT * people))
