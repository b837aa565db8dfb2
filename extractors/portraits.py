"""Everybody in a clip as one face each, for a person who is to say whom it is about.

Knows no files; who is there was found by `emo.extractors.people`.
"""

from __future__ import annotations

import numpy as np

from emo.errors import MediaError
from emo.extractors.decode import PictureSink
from emo.extractors.faces import crop
from emo.extractors.people import Person
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
        largest, likeliest = self._people.chosen("largest", None), self._people.likeliest()
        faces = [
            crop(self._nearest.at(moment).rgb(), one.track.at(moment), MARGIN, self._view.size)
            for one, moment in zip(self._people.persons, self._moments, strict=True)
        ]
        return ViewData(
            array=np.stack(faces),
            times=np.array(self._moments),
            meta={
                "people": self._people.meta(likeliest or largest),
                "largest": self._number(largest),
                "likeliest_speaker": None if likeliest is None else self._number(likeliest),
            },
            degraded=degraded,
        )

    def _number(self, person: Person) -> int:
        return next(n for n, one in enumerate(self._people.persons, start=1) if one is person)
