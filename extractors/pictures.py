"""Decoded frames: kept as the decoder gave them; turned upright, cut to the clip's region and made RGB only
when looked at.

A kept frame costs its YUV bytes, so sixteen 1080p frames are 50 MB. Knows no faces and no views.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emo.clip import Region
from emo.extractors.detector import detection_size

if TYPE_CHECKING:
    from av import VideoFrame

THUMBNAIL = 64
SAME_MOMENT = 1e-6  # seconds: a tie between two frames goes to the earlier, whatever the rounding


class Picture:
    """One frame of a clip, or the half of it that the clip is of; its time is in seconds from the file's
    first timestamp. The middle column of an odd width belongs to neither half."""

    def __init__(self, time: float, frame: VideoFrame, region: Region | None = None) -> None:
        self.time = time
        self._frame = frame
        self._region = region

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as it is seen: rotation applied, of the region alone."""
        width, height = self._whole
        return (width, height) if self._region is None else (max(1, width // 2), height)

    @property
    def _whole(self) -> tuple[int, int]:
        upright = self._frame.rotation % 180 == 0
        width, height = self._frame.width, self._frame.height
        return (width, height) if upright else (height, width)

    def rgb(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, upright, in full size; swscale as OpenCV's VideoCapture sets it."""
        return self._convert(self.size, "BICUBIC")

    def small(self) -> NDArray[np.uint8]:
        """(h, w, 3) uint8, upright, in the size in which faces are looked for."""
        return self._convert(detection_size(*self.size), "AREA")

    def thumbnail(self) -> NDArray[np.uint8]:
        """(h, w, 3) uint8, upright, the longer side THUMBNAIL pixels: enough to tell two scenes apart."""
        scale = THUMBNAIL / max(self.size)
        width, height = (max(1, round(side * scale)) for side in self.size)
        return self._convert((width, height), "AREA")

    def _convert(self, size: tuple[int, int], interpolation: str) -> NDArray[np.uint8]:
        """The picture in `size` (width, height): the whole frame is scaled, turned and the region cut out."""
        width, height = round(self._whole[0] * size[0] / self.size[0]), size[1]
        if self._frame.rotation % 180:
            width, height = height, width
        converted = self._frame.reformat(
            width=width,
            height=height,
            format="rgb24",
            interpolation=interpolation,
            threads=1,
        )
        pixels = np.asarray(converted.to_ndarray(), dtype=np.uint8)
        upright = np.rot90(pixels, round(self._frame.rotation / 90) % 4)
        part = upright[:, -size[0] :] if self._region == "right-half" else upright[:, : size[0]]
        return np.ascontiguousarray(part)


class NearestPictures:
    """Keeps, for each wanted moment, the frame nearest to it; frames come in order of time."""

    def __init__(self, wanted: Sequence[float]) -> None:
        self._wanted = sorted(set(wanted))
        self._found: dict[float, Picture] = {}
        self._previous: Picture | None = None

    def feed(self, picture: Picture) -> None:
        """Take the next frame."""
        for moment in self._wanted[len(self._found) :]:
            if moment > picture.time:
                break
            before = self._previous
            earlier = before is not None and moment - before.time <= picture.time - moment + SAME_MOMENT
            self._found[moment] = before if earlier and before is not None else picture
        self._previous = picture

    def finish(self) -> None:
        """No more frames: moments behind the last frame get the last frame."""
        if self._previous is not None:
            for moment in self._wanted[len(self._found) :]:
                self._found[moment] = self._previous

    def at(self, moment: float) -> Picture:
        """The frame kept for a wanted moment; KeyError before `finish` or where there was no frame."""
        return self._found[moment]


class EveryPicture:
    """Hands each frame on and keeps none."""

    def __init__(self, take: Callable[[Picture], None]) -> None:
        self._take = take

    def feed(self, picture: Picture) -> None:
        """Take the next frame."""
        self._take(picture)

    def finish(self) -> None:
        """No more frames."""
