"""Mouth and nostrils. Units drawn here: 9, 10, 12, 14, 15, 17, 20, 23, 25 and 26.

Knows nothing of the rest of the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emo.corpora.rendered.drawing import Patch, Plane, bump, length, tinted
from emo.corpora.rendered.identity import FaceShape, Identity
from emo.corpora.rendered.pose import Expression

INSIDE = (48.0, 18.0, 20.0)
TEETH = (226.0, 220.0, 210.0)
TONGUE = (150.0, 70.0, 72.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lips:
    """Where the units have put the lips: half width, corner shift, level, heights and opening."""

    half: float
    corner: float
    level: float
    upper: float
    lower: float
    up: float
    down: float

    @classmethod
    def moved(cls, shape: FaceShape, face: Expression) -> _Lips:
        wide = 0.26 * face[12] + 0.26 * face[20] - 0.14 * face[23] + 0.06 * face[14] + 0.03 * face[15]
        round_ = 0.16 * face[26] * (1 - face[12])
        thin = 1 - 0.6 * face[23] - 0.15 * face[12] - 0.2 * face[20]
        gap = 0.065 * face[25] * (1 + 0.4 * face[12]) + 0.20 * face[26]
        raised = 0.03 * face[10] + 0.05 * face[17] + 0.015 * face[12]
        return cls(
            half=shape.mouth_width * (1 + wide - round_),
            corner=0.15 * (face[15] - face[12]) - 0.03 * face[14] + 0.03 * face[20],
            level=shape.mouth_level + 0.35 * face.jaw - raised,
            upper=0.72 * shape.lip_height * thin,
            lower=shape.lip_height * thin * (1 - 0.3 * face[17]),
            up=0.3 * gap + 0.035 * face[10] + 0.015 * face[9],
            down=0.8 * gap,
        )


def draw_nostrils(front: Patch, identity: Identity, face: Expression) -> None:
    """Two dark ovals and the wings' outer edge; a wrinkled nose (unit 9) lifts and widens them."""
    width, tip = identity.shape.nose_width, identity.shape.nose_tip
    p = front.cut(-width - 0.1, width + 0.1, tip - 0.14, tip + 0.18)
    u = np.abs(p.u)
    wide, lift = 0.062 + 0.02 * face[9], 0.03 * face[9]
    hole = length((u - 0.52 * width) * (1 / wide), (p.v - tip - 0.055 + lift) * (1 / 0.032))
    shade = 0.6 * p.inside((1 - hole) * 0.04)
    rim = length((u - width) * (1 / 0.05), (p.v - tip) * (1 / 0.10)) - 1
    p.darken(np.maximum(shade, 0.16 * bump(rim, 0.45) * (u > 0.95 * width)))


def draw_mouth(front: Patch, identity: Identity, face: Expression) -> None:
    """Lips, what is seen between them, and the shadows at the corners."""
    lips = _Lips.moved(identity.shape, face)
    drop = lips.down + lips.lower
    p = front.cut(-lips.half - 0.1, lips.half + 0.1, lips.level - 0.3, lips.level + drop + 0.2)
    share = p.u * (1 / lips.half)
    square = share * share
    arch = np.clip(1 - square, 0, 1)
    line = lips.level + lips.corner * (square - 0.25)
    top, bottom = line - lips.up * arch, line + lips.down * arch**0.8
    within = p.inside(lips.half - np.abs(p.u))
    _draw_lips(p, identity, lips, within, (share, arch, top, bottom))
    open_ = lips.up + lips.down
    if open_ > 0.004:
        _draw_inside(p, face, within, (arch, top, bottom))
    closed = 0.66 if open_ < 0.02 else 0.16
    seam = closed * within * bump(p.v - line, 0.016)
    away = length(np.abs(p.u) - lips.half, p.v - lips.level - 0.75 * lips.corner)
    dark = 0.31 + 0.14 * face[14] + 0.1 * face[12] + 0.1 * face[15]
    p.darken(np.maximum(seam, dark * bump(away, 0.045)))


def _draw_lips(
    p: Patch, identity: Identity, lips: _Lips, within: Plane, curves: tuple[Plane, Plane, Plane, Plane]
) -> None:
    share, arch, top, bottom = curves
    bow = 1 - 0.22 * bump(share, 0.16) + 0.06 * bump(np.abs(share) - 0.25, 0.16)
    upper_edge = top - lips.upper * arch**0.75 * bow
    lower_edge = bottom + lips.lower * arch**0.6
    softness = 0.25 / p.scale  # lips have no hard outline
    upper = p.inside(np.minimum(p.v - upper_edge, top - p.v) + softness)
    p.paint(0.92 * upper * within, tinted(identity.look.lips, 0.78))
    lower = p.inside(np.minimum(p.v - bottom, lower_edge - p.v) + softness)
    shine = 0.92 + 0.28 * bump(p.v - 0.5 * (bottom + lower_edge), 0.03) * bump(share, 0.55)
    p.paint_lit(0.88 * lower * within, shine, identity.look.lips)


def _draw_inside(p: Patch, face: Expression, within: Plane, curves: tuple[Plane, Plane, Plane]) -> None:
    arch, top, bottom = curves
    opening = p.inside(np.minimum(p.v - top, bottom - p.v)) * within
    p.paint(opening, INSIDE)
    teeth = p.inside(top + 0.06 + 0.03 * face[12] - p.v) * np.clip(1.6 * arch, 0, 1)
    p.paint(0.9 * opening * teeth, TEETH)
    if face[26]:
        p.paint(0.7 * opening * p.inside(0.6 * (p.v - bottom + 0.05)), TONGUE)
