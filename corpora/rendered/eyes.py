"""Eyes, brows and glasses. Units drawn here: 1, 2, 4, 5, 6, 7, 9 and 45.

Knows nothing of the rest of the face.
"""

from __future__ import annotations

import numpy as np

from emo.corpora.rendered.drawing import Patch, Plane, bump, length, ramp
from emo.corpora.rendered.identity import Identity, Look
from emo.corpora.rendered.pose import Expression

WHITE_OF_THE_EYE = (214.0, 209.0, 203.0)
GLINT = (250.0, 250.0, 250.0)


def draw_eyes(front: Patch, identity: Identity, face: Expression, gaze: float) -> None:
    """Both eyes with lids and lashes; one window for the two, as they mirror each other."""
    shape = identity.shape
    upper = shape.eye_height * (1 + 0.85 * face[5] - 0.30 * face[7] - 0.15 * face[6] - 0.12 * face[4])
    lower = shape.eye_height * 0.62 * max(0.15, 1 - 0.5 * face[7] - 0.55 * face[6])
    upper = upper * (1 - face.blink) - 0.85 * lower * face.blink
    half, reach = shape.eye_width, shape.eye_spacing + 1.15 * shape.eye_width
    p = front.cut(-reach, reach, shape.eye_level - 0.26, shape.eye_level + 0.16)
    across = np.abs(p.u) - shape.eye_spacing  # from the middle of each eye outwards
    share = across * (1 / half)
    arch = np.clip(1 - share * share, 0, 1)
    level = p.v - shape.eye_level + 0.02 * share  # the outer corner sits a little lower
    above, under = level + upper * arch**0.8, lower * arch - level
    opening = p.inside(np.minimum(np.minimum(above, under), half - np.abs(across)))
    p.paint_lit(opening, 1 - 0.35 * bump(above, 0.06), WHITE_OF_THE_EYE)
    _draw_iris(p, opening, across, level, shape.eye_height * 1.12, gaze, identity.look)
    lashes = 0.034 if identity.feminine else 0.026
    shade = 0.73 * bump(above + 0.008, lashes) + 0.25 * bump(under + 0.01, 0.02)
    shade += 0.19 * (1 - 0.5 * face.blink) * bump(above + 0.075 + 0.02 * face[5], 0.022)
    tight = max(face[6], face[7])
    if tight:
        shade += 0.18 * tight * bump(under + 0.06, 0.022)
    p.darken(np.minimum(shade, 0.85) * p.inside(1.1 * half - np.abs(across)))


def _draw_iris(
    p: Patch, opening: Plane, across: Plane, level: Plane, radius: float, gaze: float, look: Look
) -> None:
    side = np.sign(p.u)
    across = across - side * (0.05 * gaze)
    away = length(across, level + 0.012)
    rim = np.minimum(away * (1 / radius), 1)
    p.paint_lit(opening * p.inside(radius - away), 0.75 + 0.5 * rim * rim, look.iris)
    p.darken(0.95 * opening * p.inside(0.45 * radius - away))
    p.paint(0.9 * opening * p.inside(0.026 - length(across + side * 0.03, level + 0.04)), GLINT)


def draw_brows(front: Patch, identity: Identity, face: Expression) -> None:
    """Both brows: a curve through its inner end, middle and outer end, which the units move."""
    shape, skin, hair = identity.shape, identity.look.skin, identity.look.hair
    colour = tuple(min(0.55 * h, 0.5 * s) for h, s in zip(hair, skin, strict=True))
    inner = shape.brow_level + 0.02 - 0.15 * face[1] + 0.13 * face[4] + 0.02 * face[9]
    middle = shape.brow_level - 0.6 * shape.brow_arch - 0.10 * face[1] - 0.13 * face[2] + 0.08 * face[4]
    outer = shape.brow_level + 0.05 - 0.15 * face[2] + 0.03 * face[4] + 0.03 * face[1]
    start, end = 0.17 - 0.055 * face[4], 0.70
    p = front.cut(-0.74, 0.74, min(inner, middle, outer) - 0.1, max(inner, middle, outer) + 0.1)
    t = (np.abs(p.u) - start) * (1 / (end - start))
    curve = 2 * inner * (t - 0.5) * (t - 1) - 4 * middle * t * (t - 1) + 2 * outer * t * (t - 0.5)
    half = shape.brow_thickness * (1 - 0.6 * np.clip(t, 0, 1) ** 2)
    mask = 0.9 * p.inside(0.8 * (half - np.abs(p.v - curve))) * ramp(t * 14) * ramp((1 - t) * 10)
    p.paint(mask, (colour[0], colour[1], colour[2]))


def draw_glasses(front: Patch, identity: Identity) -> None:
    """Round frames and a bridge."""
    level, spacing = identity.shape.eye_level, identity.shape.eye_spacing
    p = front.cut(-0.85, 0.85, level - 0.34, level + 0.36)
    ring = np.abs(length((np.abs(p.u) - spacing) * (1 / 1.05), p.v - level - 0.02) - 0.27)
    bridge = bump(p.v - level + 0.02, 0.02) * p.inside(0.15 - np.abs(p.u))
    p.darken(0.8 * np.maximum(bump(ring, 0.022), bridge))
