"""FaceRenderer: one identity in front of one backdrop; any expression and pose as one frame.

Frames do not depend on each other, so a single one can be had without its clip. About 5 ms a frame of
320 x 240. Knows nothing of time, sound or files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.corpora.rendered.drawing import Patch, Plane
from emo.corpora.rendered.eyes import draw_brows, draw_eyes, draw_glasses
from emo.corpora.rendered.hair import draw_back_hair, draw_front_hair
from emo.corpora.rendered.head import Light, draw_head
from emo.corpora.rendered.identity import Identity
from emo.corpora.rendered.mouth import draw_mouth, draw_nostrils
from emo.corpora.rendered.pose import STILL, Expression, Pose
from emo.corpora.rendered.scene import draw_scene

Frame: TypeAlias = NDArray[np.uint8]
Box: TypeAlias = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels

GRAINS = 4  # noise pictures that take turns, so that a still face is not a still picture
GRAIN = 1.5  # their standard deviation, of 255


class FaceRenderer:
    """Draws `identity`; `rng` decides where it sits, how large, and how it is lit."""

    def __init__(
        self, identity: Identity, rng: np.random.Generator, width: int = 320, height: int = 240
    ) -> None:
        self.identity = identity
        self.width, self.height = width, height
        self._scale = rng.uniform(0.185, 0.225) * height
        self._x = 0.5 * width + rng.uniform(-0.12, 0.12) * height
        self._y = (0.46 + rng.uniform(-0.025, 0.025)) * height
        self._light = _draw_light(rng)
        self._gain = rng.uniform(0.9, 1.06)
        self._grains = [_grain(rng, height, width) for _ in range(GRAINS)]
        self._scene = draw_scene(identity, width, height, self._x, self._y, self._scale)
        self._scenes8 = [self._finished(self._scene.copy(), grain) for grain in self._grains]

    def frame(self, units: Mapping[int, float], pose: Pose = STILL, grain: int = 0) -> tuple[Frame, Box]:
        """The picture, uint8 RGB (height, width, 3), and the box of the face in pixels.

        `units` maps action units (45 is the blink) to 0..1. `grain` picks the noise: give the frame's
        number. KeyError where a unit is not one of `units.UNITS`.
        """
        face, scale, shape = Expression(units), self._scale, self.identity.shape
        x, y = self._x + pose.dx * scale, self._y + pose.dy * scale
        left, right = _limits(x - 1.3 * scale, x + 1.3 * scale, self.width)
        top, bottom = _limits(y - 1.6 * scale, y + 1.75 * scale, self.height)
        window = slice(top, bottom), slice(left, right)
        patch = Patch.of(self._scene[:, *window].copy(), x - left, y - top, scale, pose.roll)
        self._draw(patch, face, pose)
        picture = self._scenes8[grain % GRAINS].copy()
        picture[window] = self._finished(patch.planes, self._grains[grain % GRAINS][window])
        chin = y + (shape.half_height + face.jaw) * scale
        box = (x - shape.half_width * scale, y - 0.95 * scale, x + shape.half_width * scale, chin)
        return picture, box

    def _draw(self, patch: Patch, face: Expression, pose: Pose) -> None:
        draw_back_hair(patch, self.identity)
        draw_head(patch, self.identity, face, pose.yaw, self._light)
        draw_front_hair(patch, self.identity)
        front = patch.turned(pose.yaw)
        draw_eyes(front, self.identity, face, pose.gaze)
        draw_brows(front, self.identity, face)
        draw_nostrils(front, self.identity, face)
        draw_mouth(front, self.identity, face)
        if self.identity.look.glasses:
            draw_glasses(front, self.identity)

    def _finished(self, planes: Plane, grain: Plane) -> Frame:
        """Exposure, noise and rounding: float32 (3, h, w), which is overwritten, to uint8 (h, w, 3)."""
        planes *= self._gain
        planes += grain
        np.clip(planes, 0, 255, out=planes)
        picture: Frame = np.empty((*planes.shape[1:], 3), np.uint8)
        for channel, plane in enumerate(planes):
            picture[..., channel] = plane
        return picture


def _draw_light(rng: np.random.Generator) -> Light:
    direction = np.array([rng.uniform(-0.6, 0.6), rng.uniform(-0.6, -0.2), 1.0])
    x, y, z = (float(value) for value in direction / np.linalg.norm(direction))
    red, green, blue = (float(value) for value in rng.uniform(0.96, 1.04, 3))
    return Light(x=x, y=y, z=z, cast=(red, green, blue))


def _grain(rng: np.random.Generator, height: int, width: int) -> Plane:
    return rng.standard_normal((height, width), dtype=np.float32) * GRAIN


def _limits(low: float, high: float, size: int) -> tuple[int, int]:
    return max(0, min(size, int(low))), max(0, min(size, int(high)))
