"""Whom a clip is about, where it shows several people: who they are, and one of them picked.

Media is read in limited worker processes. Knows no encoders and no models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.cache import Space
from emo.canonical import Json
from emo.clip import Clip
from emo.config.extract import DEFAULTS, MediaLimits
from emo.errors import ConfigError
from emo.extractors.reading import Asked, read_ahead
from emo.records import usable
from emo.views import PeopleView, View, ViewProblem

LARGEST, SPEAKER = "largest", "speaker"
OFTEN = 0.15  # share of the looks with several faces from which on a clip shows several people
PEOPLE = PeopleView()

NOBODY: Mapping[str, int] = MappingProxyType({})
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Seen:
    """Everybody in a clip, from left to right: `faces` uint8 RGB (P, side, side, 3), what is known of each.

    `largest` and `speaker`, the likeliest one, count from 1; `speaker` is None where no mouth can be compared
    with a sound. Nobody, and why, where there is a `status`.
    """

    clip: Clip
    faces: NDArray[np.uint8]
    people: Sequence[Mapping[str, Any]] = ()
    largest: int = 0
    speaker: int | None = None
    status: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, Json]:
        """The object that `emo people --json` has of a clip."""
        told: dict[str, Json] = {"clip_id": self.clip.clip_id, "people": [dict(one) for one in self.people]}
        if self.status:
            return {**told, "status": self.status, "reason": self.reason}
        return {**told, "status": "ok", "largest": self.largest, "likeliest_speaker": self.speaker}


def look_at_people(clips: Sequence[Clip], *, limits: MediaLimits = DEFAULTS, jobs: int = 0) -> Iterator[Seen]:
    """Who is in each of `clips`, in their order."""
    asked = (Asked(key=None, clip=clip, views=frozenset[View]({PEOPLE})) for clip in clips)
    with closing(read_ahead(asked, limits, jobs=jobs)) as readings:
        for reading in readings:
            found = reading.views[PEOPLE]
            if isinstance(found, ViewProblem):
                nobody = np.zeros((0, PEOPLE.size, PEOPLE.size, 3), np.uint8)
                yield Seen(clip=reading.clip, faces=nobody, status=found.status, reason=found.reason)
                continue
            meta: Mapping[str, Any] = found.meta
            yield Seen(
                clip=reading.clip,
                faces=found.array.astype(np.uint8, copy=False),
                people=[_untaken(one) for one in meta["people"]],
                largest=int(meta["largest"]),
                speaker=meta["likeliest_speaker"],
            )


def with_person(
    clips: Sequence[Clip],
    choice: str,
    *,
    named: bool = False,
    limits: MediaLimits = DEFAULTS,
    jobs: int = 0,
    on_progress: Progress | None = None,
) -> Sequence[Clip]:
    """`clips`, of which those that name no person get the one that `choice` picks; "" leaves them all.

    It is a number from 1, from left to right, or `largest`, or `speaker`: whose mouth follows the sound
    best, the largest where nothing can be compared. A clip in which nobody is seen keeps naming nobody. With
    `named` a clip that got a person is called `<id>#<person>`. ConfigError for a choice that is none.
    """
    if not choice:
        return clips
    if choice.isdecimal() and int(choice) > 0:
        picked = {clip.clip_id: int(choice) for clip in clips if clip.person is None}
    elif choice in (LARGEST, SPEAKER):
        nameless = [clip for clip in clips if clip.person is None]
        picked = _looked_up(nameless, choice, limits, jobs, on_progress)
    else:
        raise ConfigError(f"person {choice!r} is none of 1, 2, ..., {LARGEST}, {SPEAKER}.")
    return [_about(clip, picked.get(clip.clip_id), named) for clip in clips]


def faces_at_once(meta: Mapping[str, Any]) -> int:
    """How many faces a record says were there at once, where there were several often enough; else 1."""
    faces = meta.get("faces")
    if not isinstance(faces, Mapping) or faces.get("several_share", 0.0) < OFTEN:
        return 1
    return int(faces.get("most_at_once", 2))


def crowded(clips: Sequence[Clip], spaces: Mapping[str, Space]) -> dict[str, int]:
    """How many faces are there at once in each clip that names no person and shows several people."""
    found = {}
    for clip in clips:
        if clip.person is None:
            made = [space for space in spaces.values() if _has(space, clip.clip_id)]
            most = max((faces_at_once(space.meta(clip.clip_id)) for space in made), default=1)
            if most > 1:
                found[clip.clip_id] = most
    return found


def crowd_note(count: int, what: str = "clips", found: Mapping[str, int] = NOBODY) -> tuple[str, ...]:
    """What is said of so many clips that show several people, with one that was `found`; nothing of none."""
    if not count:
        return ()
    example = next((f" ({clip_id}: {most} at once)" for clip_id, most in found.items()), "")
    return (
        f"several people in {count} {what}{example}: one face was taken by the encoders' own rule. "
        "`emo people` shows who is there, --person N, largest or speaker picks.",
    )


def _untaken(person: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in person.items() if name != "chosen"}


def _has(space: Space, clip_id: str) -> bool:
    info = space.info(clip_id)
    return info is not None and usable(info.status, accept_degraded=True)


def _looked_up(
    clips: Sequence[Clip], choice: str, limits: MediaLimits, jobs: int, on_progress: Progress | None
) -> dict[str, int]:
    found = {}
    for number, seen in enumerate(look_at_people(clips, limits=limits, jobs=jobs), start=1):
        if seen.people:
            speaker = seen.speaker or seen.largest
            found[seen.clip.clip_id] = seen.largest if choice == LARGEST else speaker
        if on_progress:
            on_progress(number, len(clips), seen.clip.clip_id)
    return found


def _about(clip: Clip, person: int | None, named: bool) -> Clip:
    if person is None:
        return clip
    return replace(clip, person=person, clip_id=f"{clip.clip_id}#{person}" if named else clip.clip_id)
