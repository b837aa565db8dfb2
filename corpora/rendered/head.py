"""The head: ears, skin with its shading and wrinkles, nose and hair.

What a face detector looks for is mostly the shading here: the ridge of the nose and the shadow below it.
Knows nothing of eyes, brows or mouth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emo.corpora.rendered.drawing import Patch, Plane, bump, length, ramp, tinted
from emo.corpora.rendered.identity import FaceShape, Identity, Look
from emo.corpora.rendered.pose import Expression


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """Direction the light comes from (unit vector x, y, z), and the colour cast of the skin under it."""

    x: float
    y: float
    z: float
    cast: tuple[float, float, float]


def draw_head(patch: Patch, identity: Identity, face: Expression, yaw: float, light: Light) -> None:
    """Ears, skin and nose onto `patch`."""
    shape, look = identity.shape, identity.look
    for side in (-1, 1):
        centre = side * shape.half_width * 0.99
        ear = patch.cut(centre - 0.16, centre + 0.16, -0.2, 0.36)
        round_ = length((ear.u - centre) * (1 / 0.12), (ear.v - 0.08) * (1 / 0.24))
        ear.paint(ear.inside((1 - round_) * 0.12), tinted(look.skin, 0.82))
    head = patch.cut(-1.06, 1.06, -1.02 * shape.half_height, shape.half_height + face.jaw + 0.06)
    mask, shine = _ellipsoid(head, shape, face.jaw, light)
    front = head.over(shine[None]).turned(yaw)
    _shade_sockets(front, shape)
    _shade_cheeks_and_chin(front, shape, face)
    _shade_nose(front, shape, light)
    _shade_folds(front, shape, face)
    _shade_brow_wrinkles(front, shape, face)
    warm = look.skin[0] * light.cast[0], look.skin[1] * light.cast[1], look.skin[2] * light.cast[2]
    head.paint_lit(mask, shine, warm)
    if look.beard:
        _draw_beard(head.turned(yaw), look, mask)


def _ellipsoid(head: Patch, shape: FaceShape, jaw: float, light: Light) -> tuple[Plane, Plane]:
    """Mask of the head and the light on it, as on a matte ellipsoid that narrows to the chin."""
    below = np.maximum(head.v, 0)
    across = head.u / (shape.half_width - (0.75 * shape.half_width * shape.jaw_taper) * below * below)
    chin, crown = np.float32(1 / (shape.half_height + jaw)), np.float32(1 / (0.96 * shape.half_height))
    down = head.v * np.where(head.v > 0, chin, crown)
    radius2 = across * across + down * down
    mask = head.inside((1 - np.sqrt(radius2)) * 0.95)
    radius2 = np.minimum(radius2, 1)
    facing = across * light.x + down * light.y + np.sqrt(1 - radius2) * light.z
    return mask, 0.58 + 0.55 * np.clip(facing, 0, 1) - 0.20 * radius2 * radius2 * radius2


def _shade_sockets(front: Patch, shape: FaceShape) -> None:
    level, spacing = shape.eye_level, shape.eye_spacing
    p = front.cut(-1.0, 1.0, level - 0.42, level + 0.34)
    lids = 0.22 * bump(p.v - level + 0.08, 0.17) + (0.08 + 0.08 * shape.wrinkles) * bump(
        p.v - level - 0.16, 0.09
    )
    p.planes[0] -= bump(np.abs(p.u) - spacing, 0.27) * lids
    p = front.cut(-0.42, 0.42, level - 0.34, level + 0.32)
    p.planes[0] -= 0.16 * bump(np.abs(p.u) - 0.2, 0.09) * bump(p.v - level + 0.02, 0.16)


def _shade_cheeks_and_chin(front: Patch, shape: FaceShape, face: Expression) -> None:
    raised, chin = face.cheeks, shape.half_height + face.jaw
    p = front.cut(-1.0, 1.0, -0.1, 0.72)
    p.planes[0] += (
        (0.07 + 0.12 * raised) * bump(np.abs(p.u) - 0.52, 0.22) * bump(p.v - 0.30 + 0.06 * raised, 0.18)
    )
    p = front.cut(-1.0, 1.0, 0.05, 1.2)
    p.planes[0] -= (0.06 + 0.04 * shape.wrinkles) * bump(np.abs(p.u) - 0.62, 0.16) * bump(p.v - 0.62, 0.28)
    under_lip = shape.mouth_level + 0.85 * face.jaw + shape.lip_height + 0.085
    p = front.cut(-0.6, 0.6, under_lip - 0.16, under_lip + 0.16)
    p.planes[0] -= 0.16 * bump(p.u, 0.26) * bump(p.v - under_lip, 0.06)
    p = front.cut(-0.5, 0.5, chin - 0.5, chin)
    p.planes[0] += 0.06 * bump(p.u, 0.2) * bump(p.v - chin + 0.24, 0.12)
    if face[17]:
        p.planes[0] -= face[17] * 0.28 * bump(p.u, 0.22) * bump(p.v - chin + 0.27, 0.05)


def _shade_nose(front: Patch, shape: FaceShape, light: Light) -> None:
    root, tip, width = shape.eye_level, shape.nose_tip, shape.nose_width
    p = front.cut(-0.5, 0.5, root - 0.1, tip + 0.16)
    share = np.clip((p.v - root) * (1 / (tip - root)), 0, 1)
    along = ramp((p.v - root + 0.05) * 12) * ramp((tip + 0.1 - p.v) * 12)
    away_from_light = 1 - 0.45 * np.sign(p.u) * (1 if light.x >= 0 else -1)
    flank = np.abs(p.u) - 0.08 - 0.72 * width * share
    p.planes[0] += along * (0.16 * bump(p.u, 0.075) - 0.14 * bump(flank, 0.075) * away_from_light)
    p = front.cut(-0.5, 0.5, tip - 0.22, tip + 0.24)
    p.planes[0] += 0.14 * bump(p.u, 0.10) * bump(p.v - tip + 0.05, 0.08)
    wings = bump(np.abs(p.u) - 0.45 * width, 0.62 * width)
    p.planes[0] -= 0.31 * wings * bump(p.v - tip - 0.075, 0.055)
    p = front.cut(-0.2, 0.2, tip, tip + 0.4)
    p.planes[0] -= 0.10 * bump(p.u, 0.07) * bump(p.v - tip - 0.2, 0.08)


def _shade_folds(front: Patch, shape: FaceShape, face: Expression) -> None:
    """Nasolabial folds (deep with a smile or a sneer), dimples and crow's feet."""
    depth = 0.20 + 0.25 * shape.wrinkles + 0.8 * face[12] + 0.9 * face[10] + 0.6 * face[9] + 0.2 * face[6]
    p = front.cut(-0.65, 0.65, 0.26, 0.9)
    path = 0.24 + (0.22 + 0.05 * face[12]) * np.sqrt(np.clip((p.v - 0.36) * (1 / 0.42), 0, 1.2))
    ends = ramp((p.v - 0.36) * 10) * ramp((0.80 - p.v) * 10)
    p.planes[0] -= 0.26 * depth * bump(np.abs(p.u) - path, 0.04) * ends
    if face[14]:
        p = front.cut(-0.6, 0.6, shape.mouth_level - 0.2, shape.mouth_level + 0.2)
        corner = bump(np.abs(p.u) - shape.mouth_width - 0.08, 0.045)
        p.planes[0] -= face[14] * 0.36 * corner * bump(p.v - shape.mouth_level, 0.10)
    crow = face[6] + 0.35 * shape.wrinkles
    if crow:
        level = shape.eye_level
        p = front.cut(-1.0, 1.0, level - 0.24, level + 0.24)
        rays = bump(np.sin((p.v - level) * 40), 0.6) * bump(p.v - level, 0.12)
        p.planes[0] -= 0.20 * crow * bump(np.abs(p.u) - shape.eye_spacing - 0.29, 0.05) * rays


def _shade_brow_wrinkles(front: Patch, shape: FaceShape, face: Expression) -> None:
    """Frown lines between the brows, lines across the nose's root, lines across the forehead."""
    if face[4]:
        p = front.cut(-0.2, 0.2, shape.brow_level - 0.28, shape.brow_level + 0.32)
        p.planes[0] -= (
            face[4] * 0.42 * bump(np.abs(p.u) - 0.085, 0.03) * bump(p.v - shape.brow_level - 0.02, 0.13)
        )
    if face[9]:
        p = front.cut(-0.35, 0.35, shape.eye_level - 0.14, shape.eye_level + 0.12)
        lines = bump(p.v - shape.eye_level - 0.03, 0.025) + bump(p.v - shape.eye_level + 0.06, 0.025)
        p.planes[0] -= face[9] * 0.28 * lines * bump(p.u, 0.13)
    depth = max(0.6 * face[1], face[2]) + 0.45 * shape.wrinkles
    if depth:
        p = front.cut(-1.0, 1.0, -0.84, -0.52)
        arched = p.v + 0.05 * np.abs(p.u)
        rows = bump(arched + 0.62, 0.022) + bump(arched + 0.74, 0.022)
        p.planes[0] -= 0.18 * depth * rows * bump(p.u, 0.5)


def _draw_beard(front: Patch, look: Look, mask: Plane) -> None:
    cheek_line = np.abs(front.u) - 0.12 + 2 * np.clip(front.v - 0.52, 0, 1)
    cover = 0.8 * look.beard * mask * ramp((front.v - 0.45) * 9) * ramp(cheek_line * 12)
    front.paint(cover, tinted(look.hair, 0.8))
