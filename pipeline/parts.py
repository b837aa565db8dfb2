"""Cuts a list of clips into parts for several machines.

Clips are ordered by their lease bucket first, so that two parts meet in one bucket at most and hardly ever
wait for each other. The parts depend on the ids alone: every machine with the same list cuts it alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from emo.cache.leases import bucket_of
from emo.clip import Clip
from emo.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Shard:
    """The part `number` (from 0) of `count`."""

    number: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`i/n`, i from 0 to n - 1, as a SLURM array counts; ConfigError for anything else."""
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or int(match[1]) >= int(match[2]):
            raise ConfigError(f"shard {text!r} is none of 0/n to n-1/n. For the first of four: 0/4.")
        return cls(int(match[1]), int(match[2]))

    def of(self, clips: Sequence[Clip]) -> list[Clip]:
        """This part of the clips, of nearly the same size as the others."""
        if self.count == 1:
            return list(clips)
        first, last = (len(clips) * edge // self.count for edge in (self.number, self.number + 1))
        return _in_order(clips)[first:last]


WHOLE = Shard()


def chunks(clips: Sequence[Clip], most: int) -> list[list[Clip]]:
    """The clips in parts of at most `most`."""
    ordered = _in_order(clips)
    return [ordered[start : start + most] for start in range(0, len(ordered), most)]


def _in_order(clips: Sequence[Clip]) -> list[Clip]:
    return sorted(clips, key=lambda clip: (bucket_of(clip.clip_id), clip.clip_id))
