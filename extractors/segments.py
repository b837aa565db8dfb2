"""A long video divided: at every shot and where a voice begins or ends, no piece too short and none too long.

Every moment belongs to one segment. Pure arithmetic; knows no files.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from emo.config.timeline import DEFAULTS, TimelineConfig
from emo.extractors.voiced import Stretch

VOICE, SHOT, END = 1, 2, 3  # how firmly two segments are held apart
MIN_STEP = 1e-3  # seconds: boundaries closer than that are one


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """Seconds of the video, the shot (from 1) in which it begins, and which share of it is voice."""

    start: float
    end: float
    shot: int
    voice: float


def divided(
    start: float,
    end: float,
    cuts: Sequence[float],
    voice: Sequence[Stretch],
    config: TimelineConfig = DEFAULTS,
) -> list[Segment]:
    """The segments of a video from `start` to `end` whose shots begin at `cuts` and whose `voice` is sorted.

    Each lasts from `config.shortest` to `config.longest` seconds. Where two boundaries are too near to each
    other that of a voice goes rather than that of a shot. A video shorter than `shortest` is one segment.
    """
    firm = _boundaries(start, end, cuts, voice)
    times = _halved(_merged(firm, config.shortest), config.longest)
    shots = sorted(cuts)
    return [
        Segment(
            start=before,
            end=after,
            shot=1 + bisect_right(shots, before + MIN_STEP) - bisect_right(shots, start + MIN_STEP),
            voice=_share(before, after, voice),
        )
        for before, after in pairwise(times)
    ]


def _boundaries(
    start: float, end: float, cuts: Sequence[float], voice: Sequence[Stretch]
) -> list[tuple[float, int]]:
    """Times with how firm they are, sorted; of those that fall together the firmest."""
    inside = [(time, SHOT) for time in cuts] + [(time, VOICE) for stretch in voice for time in stretch]
    found = [(start, END)]
    for time, kind in sorted(one for one in inside if start + MIN_STEP < one[0] < end - MIN_STEP):
        if time - found[-1][0] >= MIN_STEP:
            found.append((round(time, 3), kind))
        elif kind > found[-1][1]:
            found[-1] = (found[-1][0], kind)
    return [*found, (end, END)]


def _merged(boundaries: list[tuple[float, int]], shortest: float) -> list[float]:
    """The times left when the shortest piece was joined to a neighbour, again and again, until none is too
    short."""
    kept = list(boundaries)
    while len(kept) > 2:
        lengths = [after[0] - before[0] for before, after in pairwise(kept)]
        least = min(lengths)
        if least >= shortest:
            break
        place = lengths.index(least)
        left, right = kept[place], kept[place + 1]
        before = lengths[place - 1] if place else float("inf")
        after = lengths[place + 1] if place + 1 < len(lengths) else float("inf")
        # the looser boundary goes; of two alike the one to the shorter neighbour
        del kept[place if (left[1], before) < (right[1], after) else place + 1]
    return [time for time, _ in kept]


def _halved(times: list[float], longest: float) -> list[float]:
    """The times, and evenly between them as many more as no piece needs to be longer."""
    found = times[:1]
    for before, after in pairwise(times):
        parts = max(1, -int(-(after - before - MIN_STEP) // longest))
        found += [round(before + (after - before) * part / parts, 3) for part in range(1, parts)]
        found.append(after)
    return found


def _share(start: float, end: float, voice: Sequence[Stretch]) -> float:
    """Which share of a segment is voice."""
    first = bisect_left(voice, start, key=lambda stretch: stretch[1])
    heard = 0.0
    for begin, stop in voice[first:]:
        if begin >= end:
            break
        heard += min(stop, end) - max(begin, start)
    return round(min(1.0, max(0.0, heard / (end - start))), 4)
