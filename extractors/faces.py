"""Faces of one person through a clip: which of several faces, smooth boxes, square crops.

Boxes are found by `emo.extractors.detector`; pictures come from the decoder. Knows no files, no encoders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.extractors.detector import DETECTOR_RECIPE, Box, detect
from emo.extractors.pictures import Picture
from emo.extractors.sampling import spread
from emo.views import FacePolicy, FacesView

Look: TypeAlias = "tuple[float, list[Box]]"  # when, and the faces that were there, in full-size pixels

ALIGNED: dict[str, Json] = {"version": 1, "times": "evenly spread", "resize": "PIL bicubic"}
SAME_FACE = 0.2  # overlap with the last box from which on a face counts as the one followed


def faces_recipe(view: FacesView) -> dict[str, Json]:
    """What decides the values of the faces, for an encoder's spec: of aligned ones no box and no detector."""
    if view.alignment == "openface":
        return {"faces": {"alignment": "openface", "sampling": view.sampling, "size": view.size, **ALIGNED}}
    cut_out = asdict(view)
    del cut_out["alignment"]  # there were specs before there was a choice
    return {"faces": cut_out, "detector": DETECTOR_RECIPE}


@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """Boxes of the followed face at the moments it was seen, and what the looking found."""

    times: NDArray[np.float64]
    boxes: NDArray[np.float64]  # (n, 4): left, top, right, bottom
    looks: int
    several: int
    most: int = 1  # faces at once

    def at(self, time: float) -> Box:
        """The box at a moment: linear between two sightings, held before the first and after the last."""
        return Box(*(float(np.interp(time, self.times, edge)) for edge in self.boxes.T))

    def median(self) -> Box:
        """One box for the clip: the median of each edge."""
        return Box(*(float(edge) for edge in np.median(self.boxes, axis=0)))

    def meta(self, view: FacesView) -> dict[str, Json]:
        """What the record says of the faces: rule, share of looks without one, with several, where."""
        median: list[Json] = [round(float(edge), 1) for edge in np.median(self.boxes, axis=0)]
        travel = float(np.ptp((self.boxes[:, :2] + self.boxes[:, 2:]) / 2, axis=0).max())
        return {
            "policy": view.policy,
            "box": view.box,
            "margin": view.margin,
            "alignment": view.alignment,
            "looks": self.looks,
            "no_face_share": round(1 - len(self.times) / self.looks, 4),
            "several_share": round(self.several / self.looks, 4),
            "most_at_once": self.most,
            "median_box": median,
            "travel": round(travel, 1),
        }


class FaceFinder:
    """Looks for faces in pictures of one clip; each picture is looked at once, whoever asks."""

    def __init__(self) -> None:
        self._known: dict[float, list[Box]] = {}

    def look(self, picture: Picture) -> list[Box]:
        """Faces of a picture in full-size pixels, largest first."""
        if picture.time not in self._known:
            small = picture.small()
            factor = picture.size[0] / small.shape[1]
            self._known[picture.time] = [box.scaled(factor) for box in detect(small)]
        return self._known[picture.time]

    def track(self, pictures: Sequence[Picture], view: FacesView) -> Track | None:
        """Follow one face through `pictures`, looking at `view.detect` of them; None where there is none."""
        chosen = [pictures[index] for index in spread(len(pictures), view.detect)]
        looks: list[Look] = [(picture.time, self.look(picture)) for picture in chosen]
        return follow(looks, view.policy, chosen[0].size) if chosen else None


def follow(looks: Sequence[Look], policy: FacePolicy, size: tuple[int, int]) -> Track | None:
    """The face that `policy` picks where it is first seen, followed by overlap; None where nobody is seen.

    Where the followed face is lost (its box overlaps no face any more) the policy picks anew.
    """
    times: list[float] = []
    boxes: list[Box] = []
    for time, faces in looks:
        if faces:
            times.append(time)
            boxes.append(continued(faces, boxes[-1] if boxes else None, policy, size))
    if not boxes:
        return None
    edges = np.array([[box.left, box.top, box.right, box.bottom] for box in boxes])
    several = sum(len(faces) > 1 for _, faces in looks)
    most = max(len(faces) for _, faces in looks)
    return Track(times=np.array(times), boxes=edges, looks=len(looks), several=several, most=most)


def continued(faces: Sequence[Box], last: Box | None, policy: FacePolicy, size: tuple[int, int]) -> Box:
    """The face that goes on from `last`, or the one that `policy` picks."""
    if last is not None:
        nearest = max(faces, key=last.overlap)
        if last.overlap(nearest) >= SAME_FACE:
            return nearest
    if policy == "largest":
        return max(faces, key=lambda box: box.area)
    middle = (size[0] / 2, size[1] / 2)
    return min(faces, key=lambda box: float(np.hypot(*np.subtract(box.centre, middle))))


def crop(picture: NDArray[np.uint8], box: Box, margin: float, side: int) -> NDArray[np.uint8]:
    """The face as a square (side, side, 3): as wide as the box's longer side, `margin` of it more all round.

    Edges of the picture are repeated where the square reaches beyond them; the resize is PIL's bicubic.
    """
    from PIL import Image

    longer = max(box.right - box.left, box.bottom - box.top, 1.0)
    half = longer * (0.5 + margin)
    height, width = picture.shape[:2]
    x, y = (min(max(value, 0.0), limit) for value, limit in zip(box.centre, (width, height), strict=True))
    beyond = int(np.ceil(max(0.0, half - x, half - y, x + half - width, y + half - height)))
    if beyond:
        picture = np.pad(picture, ((beyond, beyond), (beyond, beyond), (0, 0)), mode="edge")
        x, y = x + beyond, y + beyond
    square = (x - half, y - half, x + half, y + half)
    resized = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC, box=square)
    return np.asarray(resized)


def resized(face: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A square face (s, s, 3) as (side, side, 3); the resize is PIL's bicubic."""
    from PIL import Image

    return np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC))
