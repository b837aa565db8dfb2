"""Hair and headscarves, behind the head and in front of it. Knows nothing of the face below."""

from __future__ import annotations

import numpy as np

from emo.corpora.rendered.drawing import Patch, Plane, bump, length, tinted
from emo.corpora.rendered.identity import HairStyle, Identity

LENGTH: dict[HairStyle, float] = {"long": 1.55, "bob": 0.62, "scarf": 1.25}  # below the eyes, in face units
HAIRLINE: dict[HairStyle, float] = {
    "crop": -0.80,
    "parted": -0.72,
    "fringe": -0.56,
    "long": -0.72,
    "bob": -0.80,
    "curls": -0.76,
    "scarf": -0.80,
}


def draw_back_hair(patch: Patch, identity: Identity) -> None:
    """What hangs or stands behind the head; drawn before the head."""
    style = identity.look.hair_style
    if style in LENGTH:
        below = np.where(patch.v > -0.2, 1 / LENGTH[style], 1 / 1.12)
        distance = 1.17 - length(patch.u * (1 / 0.99), (patch.v + 0.2) * below)
        patch.paint(patch.inside(distance), tinted(identity.look.hair, 0.72))
    elif style == "curls":
        crown = length(patch.u, (patch.v + 0.42) * (1 / 1.02))
        patch.paint(patch.inside(1.16 + _curl(patch, identity) - crown), tinted(identity.look.hair, 0.78))


def draw_front_hair(patch: Patch, identity: Identity) -> None:
    """What falls over the forehead and along the cheeks; drawn after the head."""
    style, shape, look = identity.look.hair_style, identity.shape, identity.look
    if style == "bald":
        return
    top = patch.cut(-1.2, 1.2, -1.03 * shape.half_height - 0.08, -0.02)
    parting = 0.25 if style in ("parted", "long", "fringe") else 0.0
    falls = 0.22 if style == "fringe" else 0.5
    line = HAIRLINE[style] + falls * np.clip(np.abs(top.u + parting), 0, 1) ** 2.4
    if style == "curls":
        line = line + _curl(top, identity)
    elif style == "crop":
        line = line + 0.02 * np.sin(top.u * 26 + look.pattern % 7)
    dome = 1.13 - length(top.u * (1 / (1.03 * shape.half_width)), top.v * (1 / shape.half_height))
    mask = top.inside(line - top.v) * top.inside(dome)
    strands = 0.07 * np.sin(top.u * 38 + top.v * 7 + look.pattern % 7)
    shine = 0.82 + 0.22 * bump(top.v + 1.0, 0.25) + (0 if style == "scarf" else strands)
    top.paint_lit(mask, shine, look.hair if style != "scarf" else look.shirt)
    if style in ("long", "scarf"):
        _draw_sides(patch, identity)


def _draw_sides(patch: Patch, identity: Identity) -> None:
    colour = identity.look.shirt if identity.look.hair_style == "scarf" else identity.look.hair
    for side in (-1, 1):
        p = patch.cut(min(0.7 * side, 1.1 * side), max(0.7 * side, 1.1 * side), -0.75, 1.15)
        u = np.abs(p.u)
        mask = p.inside(u - 0.80 + 0.04 * np.sin(p.v * 5)) * p.inside(1.06 - u)
        p.paint(mask * p.inside(1.15 - p.v) * p.inside(p.v + 0.75), tinted(colour, 0.85))


def _curl(patch: Patch, identity: Identity) -> Plane:
    phase = identity.look.pattern % 7
    return 0.045 * np.sin(patch.u * 17 + phase) * np.cos(patch.v * 15 - phase)
