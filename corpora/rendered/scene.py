"""The still part of a picture: wall behind, shoulders and neck. Drawn once a clip.

Knows nothing of faces in motion.
"""

from __future__ import annotations

import numpy as np

from emo.corpora.rendered.drawing import Patch, Plane, bump, length, mixed, ramp, tinted
from emo.corpora.rendered.identity import Identity

STRIPES, SHELF, LIGHTS = 1, 2, 3  # kinds of backdrop; 0 is a plain wall


def draw_scene(identity: Identity, width: int, height: int, x: float, y: float, scale: float) -> Plane:
    """The picture without a head, float32 (3, height, width), for a face at pixel (x, y)."""
    look = identity.look
    patch = Patch.of(np.empty((3, height, width), np.float32), x, y, scale, 0.0)
    _draw_wall(patch, identity)
    u, v, below = np.abs(patch.u), patch.v, np.clip(patch.v - 1.2, 0, 1)
    shoulders = patch.inside(v - 1.60 - 0.12 * u * u)
    patch.paint_lit(shoulders, 1.02 - 0.3 * np.clip(u / 2.4, 0, 1) ** 2, look.shirt)
    neck = patch.inside(0.5 + 0.1 * below - u) * patch.inside(v - 0.6) * patch.inside(1.78 - 0.6 * u * u - v)
    patch.paint_lit(neck, 1 - 0.3 * bump(v - 1.25, 0.3), tinted(look.skin, 0.76))
    return patch.planes


def _draw_wall(patch: Patch, identity: Identity) -> None:
    first, second, third = identity.look.backdrop
    _, height, width = patch.planes.shape
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    low = mixed(first, second, 0.4)
    for plane, top, bottom in zip(patch.planes, first, low, strict=True):
        plane[:] = top + (bottom - top) * rows
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    rng, kind = np.random.default_rng(identity.look.pattern), identity.look.backdrop_kind
    if kind == STRIPES:
        for stripe in range(5):
            centre, half = rng.uniform(0, width), rng.uniform(0.02, 0.06) * width
            mask = 0.5 * ramp(half - np.abs(x - centre)) * np.ones_like(y)
            patch.paint(mask, identity.look.backdrop[stripe % 3])
    elif kind == SHELF:
        patch.paint(ramp(y - 0.62 * height) * np.ones_like(x), tinted(third, 0.7))
        window = ramp(0.1 * width - np.abs(x - 0.15 * width)) * ramp(0.17 * height - np.abs(y - 0.3 * height))
        patch.paint(window, (225, 232, 238))
    elif kind == LIGHTS:
        for _ in range(9):
            centre_x, centre_y = rng.uniform(0, width), rng.uniform(0, height)
            radius = rng.uniform(0.03, 0.11) * height
            away = length(x - centre_x, y - centre_y)
            red, green, blue = rng.uniform(90, 255, 3)
            patch.paint(0.4 * np.clip((radius - away) / 6, 0, 1), (red, green, blue))
