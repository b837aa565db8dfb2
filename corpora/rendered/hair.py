"""Hair and headscarves, behind the head and in front of it. Knows nothing of the face below."""

from __future__ import annotations

import numpy as np

from emo.corpora.rendered.drawing import Patch, Plane, bump, length, tinted
from emo.corpora.rendered.identity import HairStyle, Identity

LENGTH: dict[HairStyle, float] = {"long": 1.5, "bob": 0.75}  # below the eyes, in face units
HAIRLINE: dict[HairStyle, float] = {
    "crop": -0.82,
    "parted": -0.74,
    "fringe": -0.56,
    "long": -0.76,
    "bob": -0.62,
    "curls": -0.78,
}


def draw_back_hair(patch: Patch, identity: Identity) -> None:
    """What hangs or stands behind the head; drawn before the head."""
    style = identity.look.hair_style
    if style in LENGTH:
        p = patch.cut(-1.2, 1.2, -1.55, 1.18 * LENGTH[style] - 0.2)
        p.paint(p.inside(_fall(p, style)), tinted(identity.look.hair, 0.72))
    elif style == "curls":
        p = patch.cut(-1.3, 1.3, -1.7, 0.9)
        crown = length(p.u, (p.v + 0.42) * (1 / 1.02))
        p.paint(p.inside(1.13 + _curl(p, identity) - crown), tinted(identity.look.hair, 0.78))


def draw_front_hair(patch: Patch, identity: Identity) -> None:
    """What falls over the forehead and along the cheeks; drawn after the head."""
    style, shape, look = identity.look.hair_style, identity.shape, identity.look
    if style == "bald":
        return
    if style == "scarf":
        _draw_scarf(patch, identity)
        return
    top = patch.cut(-1.2, 1.2, -1.12 * shape.half_height, 0.0)
    parting = 0.25 if style in ("parted", "long") else 0.0
    falls = 0.22 if style in ("fringe", "bob") else 0.52
    line = HAIRLINE[style] + falls * np.clip(np.abs(top.u + parting), 0, 1) ** 2.4
    if style == "curls":
        line = line + _curl(top, identity)
    elif style == "crop":
        line = line + 0.02 * np.sin(top.u * 26 + look.pattern % 7)
    dome = 1.075 - length(top.u * (1 / shape.half_width), top.v * (1 / shape.half_height))
    mask = top.inside(np.minimum(line - top.v, dome))
    strands = 0.07 * np.sin(top.u * 38 + top.v * 7 + look.pattern % 7)
    top.paint_lit(mask, 0.82 + 0.22 * bump(top.v + 1.0, 0.25) + strands, look.hair)
    if style in LENGTH:
        _draw_sides(patch, identity)


def _draw_sides(patch: Patch, identity: Identity) -> None:
    """Strands in front of the ears, within the outline of the hair behind."""
    style = identity.look.hair_style
    for side in (-1, 1):
        edges = 0.7 * side, 1.2 * side
        p = patch.cut(min(edges), max(edges), -0.75, 1.18 * LENGTH[style] - 0.2)
        inner = np.abs(p.u) - 0.84 + 0.05 * np.cos(p.v * 4)
        p.paint(p.inside(np.minimum(inner, _fall(p, style))), tinted(identity.look.hair, 0.82))


def _draw_scarf(patch: Patch, identity: Identity) -> None:
    """Cloth around the face and over the neck, in the colour of the second backdrop, darkened."""
    shape = identity.shape
    p = patch.cut(-1.3, 1.3, -1.6, 1.75)
    outer = 1.12 - length(p.u, (p.v - 0.05) * (1 / 1.36))
    face = length(p.u * (1 / (0.88 * shape.half_width)), (p.v - 0.2) * (1 / (0.86 * shape.half_height))) - 1
    folds = 0.9 + 0.12 * np.sin(p.v * 6 + 5 * np.abs(p.u)) - 0.2 * bump(face, 0.10)
    p.paint_lit(p.inside(np.minimum(outer, face)), folds, tinted(identity.look.backdrop[1], 0.75))


def _fall(p: Patch, style: HairStyle) -> Plane:
    """Distance inside the outline of hair that hangs down behind the head."""
    below = np.where(p.v > -0.2, np.float32(1 / LENGTH[style]), np.float32(1 / 1.1))
    return 1.12 - length(p.u, (p.v + 0.2) * below)


def _curl(patch: Patch, identity: Identity) -> Plane:
    phase = identity.look.pattern % 7
    curl: Plane = 0.045 * np.sin(patch.u * 17 + phase) * np.cos(patch.v * 15 - phase)
    return curl
