"""Everybody in a clip as one face each, for a person who is to say whom it is about.

Knows no files; who is there was found by `emo.extractors.people`.
"""

from __future__ import annotations

import numpy as np

from emo.errors import MediaError
from emo.extractors.decode import PictureSink
from emo.extractors.faces import crop
from emo.extractors.pictures import NearestPictures
from emo.extractors.visual import Scene
from emo.views import PeopleView, ViewData

MARGIN = 0.25  # as a share of the face, so that hair and chin are seen


class Portraits:
    """The face of each person in the middle of when they are seen."""

    def __init__(self, view: PeopleView, scene: Scene) -> None:
        people = scene.people
        if people is None or not people.persons:
            looks = 0 if people is None else people.looks
            raise MediaError("missing:no_face", f"no face in any of {looks} frames looked at")
        self._view, self._people = view, people
        self._moments = [float(one.track.times[len(one.track.times) // 2]) for one in people.persons]
        self._nearest = NearestPictures(self._moments)
        self.sink: PictureSink = self._nearest

    def view(self, degraded: str | None) -> ViewData:
        """(P, size, size, 3), from left to right, with what is known of each."""
        likeliest = self._people.likeliest()
        faces = [
            crop(self._nearest.at(moment).rgb(), one.track.at(moment), MARGIN, self._view.size)
            for one, moment in zip(self._people.persons, self._moments, strict=True)
        ]
        return ViewData(
            array=np.stack(faces),
            times=np.array(self._moments),
            meta={
                "people": self._people.meta(self._people.chosen("active", None)),
                "speaker_known": likeliest is not None,
                "largest": self._people.persons.index(self._people.chosen("largest", None)) + 1,
            },
            degraded=degraded,
        )
