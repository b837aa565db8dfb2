"""uint8 pictures to the normalised tensors that vision encoders read. Knows no model."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Triple: TypeAlias = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
CLIP_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Triple = (0.26862954, 0.26130258, 0.27577711)


def normalise(pictures: NDArray[Any], mean: Triple, std: Triple) -> NDArray[np.float32]:
    """(..., H, W, 3) uint8 RGB to (..., 3, H, W) float32: divide by 255, subtract mean, divide by std."""
    scaled = pictures.astype(np.float32) / np.float32(255)
    shifted = (scaled - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(np.moveaxis(shifted, -1, -3))


def squash(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 to (side, side, 3): bicubic, aspect not kept, as BLIP-2's processor does."""
    from PIL import Image

    if picture.shape[:2] == (side, side):
        return picture
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))
