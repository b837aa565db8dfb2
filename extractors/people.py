"""Everybody in a clip, watched from the first frame to the last: where, how the face changes, who speaks.

A reading of the file of its own, before the one that makes the views. Memory is bounded: frames are held,
small and grey, between two looks of the detector; what stays is a small face a frame and person. Knows no
views and no encoders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.clip import Clip
from emo.config.extract import MediaLimits
from emo.errors import MediaError
from emo.extractors.audio import Sound
from emo.extractors.container import open_media
from emo.extractors.decode import Pass
from emo.extractors.detector import Box
from emo.extractors.faces import FaceFinder, Track
from emo.extractors.onsets import FACE_SIDE, change_course
from emo.extractors.pictures import Picture
from emo.extractors.speaking import MOUTH, SPEAKS, mouth_box, speaking_score
from emo.extractors.tracks import Linker, Sightings
from emo.views import AudioView, FacePolicy

HEARD = AudioView(rate=16_000)
MOST_FRAMES_PER_SECOND = 30  # faster videos are watched at this rate
BETWEEN_LOOKS_S = 0.32
SLACK_S = 1e-3

Role = Literal["active-speaker", "listener", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Person:
    """One person of a clip. `course` (n,) is the change of the face at `moments` (n,) seconds.

    `speaking` is how well the mouth follows the sound, -1 to 1; None where that cannot be measured.
    """

    track: Track
    moments: NDArray[np.float64]
    course: NDArray[np.float64]
    speaking: float | None

    @property
    def size(self) -> float:
        """Area of the face in square pixels times the looks it was seen in."""
        return self.track.median().area * len(self.track.times)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class People:
    """The persons of a clip from left to right; `looks` is how often the detector looked."""

    persons: tuple[Person, ...]
    looks: int
    picture_size: tuple[int, int]

    def likeliest(self) -> Person | None:
        """Who speaks if anybody seen does: the largest score; None where none could be measured."""
        known = [person for person in self.persons if person.speaking is not None]
        return max(known, key=lambda person: person.speaking or 0.0, default=None)

    def speaker(self) -> Person | None:
        """Who speaks: the likeliest, where the score is one of somebody who speaks."""
        best = self.likeliest()
        return best if best is not None and (best.speaking or 0.0) >= SPEAKS else None

    def role(self, person: Person) -> Role:
        """What a person does; unknown where nobody speaks that is seen."""
        speaker = self.speaker()
        if speaker is None:
            return "unknown"
        return "active-speaker" if person is speaker else "listener"

    def chosen(self, policy: FacePolicy, number: int | None) -> Person:
        """Person `number` (from 1, left to right), or who the policy picks.

        `active` is the likeliest speaker, or the largest face where nothing can be measured; `listener` the
        largest of the others. Raises MediaError missing:no_face, missing:no_person.
        """
        if not self.persons:
            raise MediaError("missing:no_face", f"no face in any of {self.looks} frames looked at")
        if number is not None:
            if number > len(self.persons):
                raise MediaError(
                    "missing:no_person", f"person {number} is asked for, {len(self.persons)} are seen"
                )
            return self.persons[number - 1]
        if policy == "central":
            middle = np.array(self.picture_size) / 2
            return min(self.persons, key=lambda each: float(np.hypot(*(each.track.median().centre - middle))))
        largest = max(self.persons, key=lambda person: person.size)
        if policy == "largest":
            return largest
        speaker = self.likeliest()
        if policy == "active":
            return speaker or largest
        others = [person for person in self.persons if person is not speaker]
        if speaker is None or not others:
            why = "no mouth can be compared with the sound" if speaker is None else "there is one face"
            raise MediaError("missing:no_person", f"no listener: {why}")
        return max(others, key=lambda person: person.size)

    def meta(self, chosen: Person) -> list[Json]:
        """One object a person, for the record: when, where, how often seen, how it speaks, who was taken."""
        return [
            {
                "person": number,
                "chosen": person is chosen,
                "role": self.role(person),
                "speaking": None if person.speaking is None else round(person.speaking, 3),
                "seen": round(len(person.track.times) / self.looks, 4),
                "from": round(float(person.track.times[0]), 3),
                "to": round(float(person.track.times[-1]), 3),
                "median_box": [round(float(edge), 1) for edge in np.median(person.track.boxes, axis=0)],
            }
            for number, person in enumerate(self.persons, start=1)
        ]


def watch_people(
    clip: Clip, limits: MediaLimits, finder: FaceFinder, data: bytes | None = None
) -> People | None:
    """Everybody in the clip; None where it has no pictures. Raises MediaError as opening the file does."""
    with open_media(clip, limits, data) as media:
        if media.video is None:
            return None
        watch = _Watch(finder)
        sounds = [Sound(HEARD, media.cut, media.origin)] if media.audio is not None else []
        Pass(media, [watch], sounds).read()
    return watch.people(*_heard(sounds))


def _heard(sounds: Sequence[Sound]) -> tuple[NDArray[np.float32], float]:
    try:
        heard = sounds[0].view() if sounds else None
    except MediaError:
        heard = None
    if heard is None or "silent" in heard.flags:
        return np.zeros(0, np.float32), 0.0
    return heard.array, float(heard.times[0])


@dataclass(slots=True)
class _Seen:
    """What was cut out of one face: the moments, and the small grey mouth and face of each frame."""

    times: list[float] = field(default_factory=list)
    mouths: list[NDArray[np.uint8]] = field(default_factory=list)
    faces: list[NDArray[np.uint8]] = field(default_factory=list)


class _Watch:
    """Takes every picture; looks for faces now and then and measures the frames between two looks."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder
        self._linker = Linker()
        self._held: list[tuple[float, NDArray[np.uint8], float]] = []  # time, small RGB, its pixels' size
        self._last: Picture | None = None
        self._looked: float | None = None
        self._measured: dict[int, _Seen] = {}
        self._size = (0, 0)

    def feed(self, picture: Picture) -> None:
        """Take the next picture."""
        if self._last is not None and picture.time - self._last.time < 1 / MOST_FRAMES_PER_SECOND - SLACK_S:
            return
        small = picture.small()
        self._size = picture.size
        self._held.append((picture.time, small, picture.size[0] / small.shape[1]))
        self._last = picture
        if self._looked is None or picture.time - self._looked >= BETWEEN_LOOKS_S - SLACK_S:
            self._look(picture)

    def finish(self) -> None:
        """No more pictures: the last one is looked at too."""
        if self._last is not None and self._last.time != self._looked:
            self._look(self._last)

    def people(self, sound: NDArray[np.float32], t0: float) -> People:
        """Who was there, with what `sound` (S,) from `t0` says of their mouths."""
        persons = []
        for sightings, track in self._linker.people():
            seen = self._measured[sightings.number]
            times = np.array(seen.times)
            score = speaking_score(times, np.stack(seen.mouths), sound, HEARD.rate, t0)
            course = change_course(np.stack(seen.faces))
            persons.append(Person(track=track, moments=times, course=course, speaking=score))
        return People(persons=tuple(persons), looks=self._linker.looks, picture_size=self._size)

    def _look(self, picture: Picture) -> None:
        self._linker.add(picture.time, self._finder.look(picture))
        for sightings in self._linker.sightings:
            if sightings.look == self._linker.looks - 1:
                self._measure(sightings, picture.time)
        self._looked = picture.time
        self._held.clear()

    def _measure(self, sightings: Sightings, now: float) -> None:
        """Measure a face in the frames held, its box on the line between its last two sightings."""
        seen = self._measured.setdefault(sightings.number, _Seen())
        times, boxes = sightings.times[-2:], sightings.boxes[-2:]
        unbroken = len(times) == 2 and self._looked == times[0]
        edges = np.array([[box.left, box.top, box.right, box.bottom] for box in boxes])
        for time, small, scale in self._held if unbroken else self._held[-1:]:
            box = Box(*(float(np.interp(time, times, edge)) / scale for edge in edges.T))
            face = (box.left, box.top, box.right, box.bottom)
            seen.times.append(time)
            seen.mouths.append(_cut(small, mouth_box(box), MOUTH))
            seen.faces.append(_cut(small, face, (FACE_SIDE, FACE_SIDE)))


def _cut(
    picture: NDArray[np.uint8], box: tuple[float, float, float, float], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """A part of a picture in grey and in `size` (width, height); what lies beyond the picture is left out."""
    from PIL import Image

    height, width = picture.shape[:2]
    left, right = min(max(box[0], 0.0), width - 1.0), min(max(box[2], 1.0), float(width))
    top, bottom = min(max(box[1], 0.0), height - 1.0), min(max(box[3], 1.0), float(height))
    inside = (left, top, max(right, left + 1), max(bottom, top + 1))
    # only the neighbourhood is turned grey: a face is a small part of most pictures
    x, y = int(inside[0]), int(inside[1])
    patch = picture[y : int(np.ceil(inside[3])), x : int(np.ceil(inside[2]))]
    grey = Image.fromarray(np.ascontiguousarray(patch)).convert("L")
    local = (inside[0] - x, inside[1] - y, inside[2] - x, inside[3] - y)
    return np.asarray(grey.resize(size, Image.Resampling.BILINEAR, box=local))
