"""MTCNN face detection: a picture to boxes. One detector a process; its weights are inside its wheel.

Source: Zhang et al. 2016, arXiv 1604.02878; facenet-pytorch 2.5.3. Pictures are looked at one by one, so a
box never depends on what else was asked for. Knows no clips and no views.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.digests import sha256_file
from emo.errors import CheckpointError
from emo.extractors.inference import one_thread

LONG_SIDE = 640  # larger pictures are looked at in this size
MIN_FACE = 40  # pixels there
MIN_FACE_SHARE = 4  # small pictures: a face is at least 1/4 of the short side
LEAST_FACE = 20
MIN_PROBABILITY = 0.9
DIGESTS = {
    "pnet": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "rnet": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "onet": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
}
DETECTOR_RECIPE: dict[str, Json] = {
    "model": "MTCNN",
    "weights": dict(DIGESTS),
    "thresholds": [0.6, 0.7, 0.7],
    "long_side": LONG_SIDE,
    "min_face": MIN_FACE,
    "min_probability": MIN_PROBABILITY,
    "version": 1,
}


@dataclass(frozen=True, slots=True)
class Box:
    """A face in pixels of the picture: left, top, right, bottom, as floats, and how sure MTCNN is."""

    left: float
    top: float
    right: float
    bottom: float
    probability: float = 1.0

    @property
    def area(self) -> float:
        """Square pixels."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    @property
    def centre(self) -> tuple[float, float]:
        """The middle (x, y)."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def overlap(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        return width * height / (self.area + other.area - width * height)

    def scaled(self, factor: float) -> Box:
        """The same face in a picture `factor` times as large."""
        return Box(
            self.left * factor, self.top * factor, self.right * factor, self.bottom * factor, self.probability
        )


def detection_size(width: int, height: int) -> tuple[int, int]:
    """Width and height in which a picture is looked at: the long side at most LONG_SIDE."""
    scale = min(1.0, LONG_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def detect(picture: NDArray[np.uint8]) -> list[Box]:
    """Faces in an RGB picture (H, W, 3) that is already of detection size, largest first."""
    short = min(picture.shape[:2])
    least = max(LEAST_FACE, min(MIN_FACE, short // MIN_FACE_SHARE))
    if short < LEAST_FACE:
        return []
    detector = _detector()
    detector.min_face_size = least
    with one_thread():
        boxes, probabilities = detector.detect(np.ascontiguousarray(picture))
    if boxes is None:
        return []
    found = [
        Box(float(box[0]), float(box[1]), float(box[2]), float(box[3]), float(probability))
        for box, probability in zip(boxes, probabilities, strict=True)
        if probability >= MIN_PROBABILITY
    ]
    return sorted(found, key=lambda box: box.area, reverse=True)


@cache
def _detector() -> Any:
    import facenet_pytorch
    from facenet_pytorch import MTCNN

    folder = Path(facenet_pytorch.__file__).parent / "data"
    for name, digest in DIGESTS.items():
        if sha256_file(folder / f"{name}.pt") != digest:
            raise CheckpointError(
                f"{folder / name}.pt is not the MTCNN that emo knows. Install facenet-pytorch==2.5.3 again."
            )
    return MTCNN(keep_all=True, min_face_size=MIN_FACE, thresholds=[0.6, 0.7, 0.7], device="cpu")
