"""A long recording surveyed: how loud it is and where its pictures change, read stretch by stretch.

Stretches are read in limited worker processes, several at once, and each is kept in a file as soon as it is
read, so a run that was stopped goes on. Knows no segments and no models.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.canonical import sha256_json
from emo.clip import Clip
from emo.config.extract import DEFAULTS as LIMITS
from emo.config.extract import MediaLimits
from emo.config.timeline import DEFAULTS, TimelineConfig
from emo.errors import ConfigError
from emo.extractors.reading import Asked, Reading, read_ahead
from emo.views import ChangeView, LevelView, View, ViewData, ViewProblem

LEVEL, CHANGE = LevelView(), ChangeView()
SEEN: tuple[View, ...] = (LEVEL, CHANGE)
OVERLAP_S = 1.0  # the first picture of a stretch is compared with the one before it
EARLY_END_S = 0.5  # streams end a little before or after each other
RECIPE = 1

Progress: TypeAlias = Callable[[int, int, str], None]
Course: TypeAlias = "tuple[NDArray[np.float32], NDArray[np.float64]]"  # values and their times, (n,) each


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Survey:
    """A recording of `seconds`: root mean squares every `LEVEL.hop` seconds, and changes of its pictures.

    Either is empty where the recording has none. `notes` are lines for people.
    """

    seconds: float
    levels: Course
    changes: Course
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stretch:
    """What was read of a part of a recording: values by view, or the status and reason why there are none."""

    courses: Mapping[View, Course]
    problems: Mapping[View, tuple[str, str]]
    file_seconds: float | None


def survey(
    clip: Clip,
    config: TimelineConfig = DEFAULTS,
    *,
    kept: Path | None = None,
    limits: MediaLimits = LIMITS,
    jobs: int = 0,
    on_progress: Progress | None = None,
) -> Survey:
    """The course of the whole file of `clip`. Stretches are kept in the file `kept`, and taken from there.

    ConfigError where the file is no media, has neither sound nor pictures, or is longer than
    `config.most_seconds`.
    """
    notebook = _Notebook(kept, clip, config)
    cut = [replace(clip, start=None, end=config.stretch)]
    first = next(_read(cut, notebook, limits, jobs))
    seconds = _length(clip, first, config)
    count = max(1, -int(-seconds // config.stretch))
    cut += [
        replace(clip, start=number * config.stretch - OVERLAP_S, end=(number + 1) * config.stretch)
        for number in range(1, count)
    ]
    found = []
    for number, stretch in enumerate(_read(cut, notebook, limits, jobs)):
        found.append(_from(stretch, number * config.stretch))
        if on_progress:
            on_progress(number + 1, count, clip.clip_id)
    return _whole(clip, seconds, found)


def _read(clips: Sequence[Clip], notebook: _Notebook, limits: MediaLimits, jobs: int) -> Iterator[Stretch]:
    """Each stretch in turn, from the notebook where it is there."""
    asked = (
        Asked(key=number, clip=clip, views=frozenset(SEEN))
        for number, clip in enumerate(clips)
        if number not in notebook.stretches
    )
    with closing(read_ahead(asked, limits, jobs=jobs)) as readings:
        for number in range(len(clips)):
            if number not in notebook.stretches:
                notebook.add(number, _stretch(next(readings)))
            yield notebook.stretches[number]


def _stretch(reading: Reading[int]) -> Stretch:
    found = {view: one for view, one in reading.views.items() if isinstance(one, ViewData)}
    lengths = [one.meta.get("file_seconds") for one in found.values()]
    return Stretch(
        courses={view: (one.array, one.times) for view, one in found.items()},
        problems={
            view: (one.status, one.reason)
            for view, one in reading.views.items()
            if isinstance(one, ViewProblem)
        },
        file_seconds=next((float(one) for one in lengths if isinstance(one, int | float)), None),
    )


def _length(clip: Clip, first: Stretch, config: TimelineConfig) -> float:
    """Seconds of the whole file; ConfigError where it has none to speak of."""
    if not first.courses:
        reasons = dict.fromkeys(f"{reason} ({status})" for status, reason in first.problems.values())
        said = "; ".join(reasons)
        which = "" if said.startswith(clip.path.name) else f"{clip.path}: "
        raise ConfigError(f"{which}{said}. Name a video or a recording; docs/media.md lists what is read.")
    ends = [float(times[-1]) for _, times in first.courses.values()]
    seconds = max(ends) + LEVEL.hop if first.file_seconds is None else first.file_seconds
    if seconds > config.most_seconds:
        raise ConfigError(
            f"{clip.path} lasts {seconds:.0f} s, the limit is {config.most_seconds:.0f} s. "
            "If that is right: --set most_seconds=NUMBER"
        )
    return seconds


def _from(stretch: Stretch, start: float) -> Stretch:
    """The stretch without what the one before it has."""
    courses: dict[View, Course] = {}
    for view, (values, times) in stretch.courses.items():
        own = times >= start - LEVEL.hop / 2
        courses[view] = (values[own], times[own])
    return replace(stretch, courses=courses)


def _whole(clip: Clip, seconds: float, found: Sequence[Stretch]) -> Survey:
    levels, changes = _joined(found, LEVEL), _joined(found, CHANGE)
    heard = float(levels[1][-1]) + LEVEL.hop if len(levels[1]) else 0.0
    shown = float(changes[1][-1] + np.diff(changes[1][-2:]).sum()) if len(changes[1]) else 0.0
    notes = []
    if not len(levels[1]):
        notes.append(f"{clip.path.name}: {_why(found, LEVEL)}: divided at shots alone.")
    if not len(changes[1]):
        notes.append(f"{clip.path.name}: {_why(found, CHANGE)}: divided where a voice begins and ends alone.")
    lost = [status for one in found for status, _ in one.problems.values() if status.startswith("failed:")]
    if lost:
        notes.append(
            f"{len(lost)} stretches could not be read ({lost[0]}): no voice and no shots are known there."
        )
    end = max(heard, shown)
    if seconds - end > EARLY_END_S:
        notes.append(f"{clip.path.name} ends at {end:.1f} s, though its header says {seconds:.1f} s.")
        seconds = end
    return Survey(seconds=seconds, levels=levels, changes=changes, notes=tuple(notes))


def _why(found: Sequence[Stretch], view: View) -> str:
    return next(reason for one in found for name, (_, reason) in one.problems.items() if name == view)


def _joined(found: Sequence[Stretch], view: View) -> Course:
    parts = [one.courses[view] for one in found if view in one.courses]
    values = [values for values, _ in parts] or [np.zeros(0, np.float32)]
    times = [times for _, times in parts] or [np.zeros(0)]
    return np.concatenate(values), np.concatenate(times)


class _Notebook:
    """Stretches by number, and a line of JSON for each in a file. Lines of another file, of other settings or
    torn by a kill are passed over."""

    def __init__(self, path: Path | None, clip: Clip, config: TimelineConfig) -> None:
        self._path = path
        self._key = _key(clip, config)
        self.stretches: dict[int, Stretch] = {}
        if path is not None and path.exists():
            for line in path.read_text("utf-8", errors="replace").splitlines():
                self._take(line)

    def add(self, number: int, stretch: Stretch) -> None:
        """Keep a stretch; one that could not be read is read again by the next run."""
        self.stretches[number] = stretch
        broken = any(status.startswith("failed:") for status, _ in stretch.problems.values())
        if self._path is not None and not broken:
            line = json.dumps([self._key, number, _to_json(stretch)])
            with self._path.open("a", encoding="utf-8", newline="\n") as stream:
                stream.write(f"\n{line}\n")  # behind a line that may be torn

    def _take(self, line: str) -> None:
        try:
            key, number, told = json.loads(line)
            if key == self._key:
                self.stretches[int(number)] = _from_json(told)
        except (ValueError, TypeError, LookupError, AttributeError):
            return


def _key(clip: Clip, config: TimelineConfig) -> str:
    try:
        status = clip.path.stat()
    except OSError as error:
        raise ConfigError(f"{clip.path} cannot be read ({error.strerror}). Name a video.") from error
    where = str(clip.path.absolute())
    return sha256_json([where, status.st_size, status.st_mtime_ns, config.stretch, LEVEL.hop, RECIPE])[:16]


def _to_json(stretch: Stretch) -> dict[str, Any]:
    return {
        "courses": {
            SEEN.index(view): [base64.b64encode(array.tobytes()).decode() for array in course]
            for view, course in stretch.courses.items()
        },
        "problems": {SEEN.index(view): told for view, told in stretch.problems.items()},
        "file_seconds": stretch.file_seconds,
    }


def _from_json(told: Any) -> Stretch:
    courses: dict[View, Course] = {}
    for place, (values, times) in told["courses"].items():
        course = (
            np.frombuffer(base64.b64decode(values), np.float32),
            np.frombuffer(base64.b64decode(times), np.float64),
        )
        courses[SEEN[int(place)]] = course
    problems = {
        SEEN[int(place)]: (str(status), str(why)) for place, (status, why) in told["problems"].items()
    }
    length = told["file_seconds"]
    return Stretch(courses=courses, problems=problems, file_seconds=None if length is None else float(length))
