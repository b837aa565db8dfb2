"""Everybody in a clip: the faces of many looks linked to one track a person.

Knows times and boxes; no pictures, no sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from emo.extractors.detector import Box
from emo.extractors.faces import SAME_FACE, Track

MOST_PEOPLE = 8  # faces of a look that are followed, the largest first
LONGEST_GAP_S = 1.0  # a face unseen for longer is somebody new
LEAST_SEEN = 0.15  # share of the looks; what is seen less often is a false alarm or somebody passing


@dataclass(slots=True)
class Sightings:
    """A track in the making, by number: when a face was seen and where; `look` is that of the last look."""

    number: int
    times: list[float] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    look: int = -1

    def see(self, time: float, box: Box, look: int) -> None:
        """Note the face once more."""
        self.times.append(time)
        self.boxes.append(box)
        self.look = look


class Linker:
    """Links faces to tracks look by look: the pair that overlaps most first, each face to one track.

    Equal overlaps go to the older track and the larger face, so the same looks always give the same tracks.
    """

    def __init__(self) -> None:
        self.looks = 0
        self.several = 0
        self.most = 1
        self.sightings: list[Sightings] = []

    def add(self, time: float, faces: Sequence[Box]) -> None:
        """Take the faces (largest first) of the next look."""
        followed = list(faces[:MOST_PEOPLE])
        open_tracks = [each for each in self.sightings if time - each.times[-1] <= LONGEST_GAP_S]
        pairs = [
            (-track.boxes[-1].overlap(face), first, second)
            for first, track in enumerate(open_tracks)
            for second, face in enumerate(followed)
        ]
        taken: dict[int, int] = {}
        for overlap, first, second in sorted(pairs):
            if -overlap >= SAME_FACE and first not in taken.values() and second not in taken:
                taken[second] = first
        for second, face in enumerate(followed):
            if second not in taken:
                self.sightings.append(Sightings(len(self.sightings)))
            track = open_tracks[taken[second]] if second in taken else self.sightings[-1]
            track.see(time, face, self.looks)
        self.looks += 1
        self.several += len(faces) > 1
        self.most = max(self.most, len(faces))

    def people(self) -> list[tuple[Sightings, Track]]:
        """Who was there long enough to count, from left to right."""
        least = max(2, LEAST_SEEN * self.looks) if self.looks > 1 else 1
        kept = [each for each in self.sightings if len(each.times) >= least]
        found = [(each, self._track(each)) for each in kept]
        return sorted(found, key=lambda pair: (pair[1].median().centre, pair[0].times[0]))

    def _track(self, seen: Sightings) -> Track:
        edges = np.array([[box.left, box.top, box.right, box.bottom] for box in seen.boxes])
        return Track(
            times=np.array(seen.times),
            boxes=edges,
            looks=self.looks,
            several=self.several,
            most=self.most,
        )
