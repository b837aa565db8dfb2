"""Patches: windows of a planar picture with face coordinates, and the two soft edges all drawing is made of.

Face coordinates: the origin lies between the line of the eyes and the nose, one unit is half the width
of a face, u grows to the right of the picture and v downwards; both turn with the head. Knows nothing
of noses, mouths or action units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.floating[Any]]  # float32 throughout: half the memory traffic of float64
Colour: TypeAlias = tuple[float, float, float]


def bump(distance: Plane, width: float) -> Plane:
    """A Gaussian hill of height 1 over `distance`; at `width` it has fallen to 1/e."""
    hill: Plane = distance * (1 / width)
    hill *= hill
    np.negative(hill, out=hill)
    np.exp(hill, out=hill)
    return hill


def ramp(distance: Plane) -> Plane:
    """`distance` + 1/2 within [0, 1]: the share of a pixel inside an edge `distance` pixels away."""
    share: Plane = distance + 0.5
    np.maximum(share, 0, out=share)
    np.minimum(share, 1, out=share)
    return share


def length(a: Plane, b: Plane) -> Plane:
    """Euclidean length; several times faster than np.hypot, which guards against overflow."""
    root: Plane = np.sqrt(a * a + b * b)
    return root


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with `share` of `b`."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def tinted(colour: Colour, *factors: float) -> Colour:
    """`colour` times one factor, or times three."""
    red, green, blue = factors * 3 if len(factors) == 1 else factors
    return (colour[0] * red, colour[1] * green, colour[2] * blue)


@dataclass(slots=True)  # not frozen: a frame makes thirty of them, and freezing triples their cost
class Patch:
    """A window of a picture: `planes` (C, h, w) is a view, so painting changes the picture.

    `u` and `v` (h, w) are face coordinates; `x`, `y` the origin in pixels of this window; `scale` pixels
    a unit; `cos`, `sin` of the roll; `turn` how far yaw has moved the features, in units.
    """

    planes: Plane
    u: Plane
    v: Plane
    x: float
    y: float
    scale: float
    cos: float
    sin: float
    turn: float = 0.0

    @classmethod
    def of(cls, planes: Plane, x: float, y: float, scale: float, roll: float) -> Patch:
        """The whole of `planes` (C, h, w) with the origin at pixel (x, y), turned by `roll` radians."""
        cos, sin = float(np.cos(roll)), float(np.sin(roll))
        across = ((np.arange(planes.shape[2], dtype=np.float32) - x) / scale)[None]
        down = ((np.arange(planes.shape[1], dtype=np.float32) - y) / scale)[:, None]
        return cls(planes, across * cos + down * sin, down * cos - across * sin, x, y, scale, cos, sin)

    def turned(self, yaw: float) -> Patch:
        """The same window for what sits on the front of the head and moves with yaw."""
        return replace(self, u=self.u - yaw, turn=self.turn + yaw)

    def over(self, planes: Plane) -> Patch:
        """The same window over other planes of equal height and width."""
        return replace(self, planes=planes)

    def cut(self, left: float, right: float, top: float, bottom: float) -> Patch:
        """The part around a rectangle in face coordinates; empty where it lies outside the picture."""
        us, vs = (left + self.turn, right + self.turn), (top, bottom)
        xs = [(u * self.cos - v * self.sin) * self.scale + self.x for u in us for v in vs]
        ys = [(u * self.sin + v * self.cos) * self.scale + self.y for u in us for v in vs]
        height, width = self.u.shape
        x0, x1 = max(0, min(width, int(min(xs)))), max(0, min(width, int(max(xs)) + 2))
        y0, y1 = max(0, min(height, int(min(ys)))), max(0, min(height, int(max(ys)) + 2))
        part = slice(y0, y1), slice(x0, x1)
        planes, u, v = self.planes[:, *part], self.u[part], self.v[part]
        return Patch(planes, u, v, self.x - x0, self.y - y0, self.scale, self.cos, self.sin, self.turn)

    def inside(self, distance: Plane) -> Plane:
        """How much of each pixel is inside a shape whose edge is `distance` units away (positive: inside)."""
        return ramp(distance * self.scale)

    def paint(self, mask: Plane, colour: Colour) -> None:
        """Lay `colour` over the picture where `mask` (h, w) is 1."""
        self.darken(mask)
        for plane, value in zip(self.planes, colour, strict=True):
            plane += mask * value

    def paint_lit(self, mask: Plane, light: Plane, colour: Colour) -> None:
        """Lay `colour` times `light` (h, w) over the picture where `mask` is 1."""
        self.darken(mask)
        lit = mask * light
        for plane, value in zip(self.planes, colour, strict=True):
            plane += lit * value

    def darken(self, mask: Plane) -> None:
        """Take `mask` (h, w) of the light away; 1 is black."""
        planes = self.planes
        planes *= 1 - mask
