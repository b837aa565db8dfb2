"""SharedWork: which clips a process does next where several fill the same spaces.

Clips go by lease bucket. What another live process holds is left for later; what it has stored by then is
not done again. Knows neither encoders nor media; correctness never depends on it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from emo.cache.freshness import serves
from emo.cache.leases import bucket_of
from emo.cache.space import Space
from emo.cache.writer import SpaceWriter
from emo.config.cache import DEFAULTS

POLLS_A_BEAT = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one space has yet to get: clip ids with the digests of their inputs, and who writes them."""

    space: Space
    writer: SpaceWriter
    inputs: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Turn:
    """One clip that is this process's to do, in the spaces that still lack it."""

    clip_id: str
    spaces: frozenset[str]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A wanted record that another process stored meanwhile."""

    clip_id: str
    space: str
    status: str


class SharedWork:
    """The clips that `wanted` lacks, by turns. A context: leases end with it.

    Turns may be asked for in another thread than the one that calls `done`.
    """

    def __init__(self, wanted: Sequence[Wanted], beat_seconds: float = DEFAULTS.lease_beat_seconds) -> None:
        self._wanted = {one.space.name: one for one in wanted}
        self._poll = beat_seconds / POLLS_A_BEAT
        self._leases = {name: one.space.leases(beat_seconds) for name, one in self._wanted.items()}
        self._news = {name: one.space.news() for name, one in self._wanted.items()}
        self._to_do: dict[int, dict[str, set[str]]] = {}
        for name, one in self._wanted.items():
            for clip_id in one.inputs:
                self._to_do.setdefault(bucket_of(clip_id), {}).setdefault(clip_id, set()).add(name)
        self._open: dict[int, int] = {}
        self._finished: dict[int, dict[str, int]] = {}
        self._elsewhere: list[Elsewhere] = []
        self._guard = threading.RLock()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for leases in self._leases.values():
            self._stack.enter_context(leases)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def left(self) -> int:
        """How many clips no turn has been given for."""
        return sum(map(len, self._to_do.values()))

    def rounds(self, wait: Callable[[float], None] = time.sleep) -> Iterator[Iterator[Turn]]:
        """Rounds over what is left, until nothing is; each gives the turns that can be taken now.

        A round has to be finished, and each of its turns `done`, before the next is asked for.
        """
        while self._to_do:
            before = self.left
            yield self._round()
            for one in self._wanted.values():
                one.writer.flush()
            with self._guard:
                self._give_back()
            if self.left == before:
                wait(self._poll)

    def done(self, turn: Turn) -> None:
        """Every record of the turn was put. Its lease ends once they are acknowledged."""
        bucket = bucket_of(turn.clip_id)
        with self._guard:
            self._open[bucket] -= 1
            if not self._open[bucket]:
                self._finish(bucket)
            self._give_back()

    def elsewhere(self) -> list[Elsewhere]:
        """The records that others were seen to store since the last call; they need no turn."""
        with self._guard:
            found, self._elsewhere = self._elsewhere, []
        return found

    def _round(self) -> Iterator[Turn]:
        for bucket in sorted(self._to_do):
            with self._guard:
                turns = self._take(bucket)
            yield from turns

    def _take(self, bucket: int) -> list[Turn]:
        """The turns of a bucket whose leases are now ours; none where another process has one of them."""
        self._read_news()
        if bucket not in self._to_do:
            return []
        taken: list[str] = []
        for name in sorted(set().union(*self._to_do[bucket].values())):
            if not self._leases[name].take(bucket):
                for other in taken:
                    self._leases[other].give_back(bucket)
                return []
            taken.append(name)
        self._read_news()  # what the last holder stored before it let go
        turns = [Turn(clip_id, frozenset(names)) for clip_id, names in self._to_do.pop(bucket, {}).items()]
        self._finished[bucket] = dict.fromkeys(taken, 0)
        self._open[bucket] = len(turns)
        if not turns:
            self._give_back()
        return turns

    def _finish(self, bucket: int) -> None:
        """Note how many records have to be acknowledged before the bucket is given back."""
        for name in self._finished[bucket]:
            self._finished[bucket][name] = self._wanted[name].writer.received

    def _give_back(self) -> None:
        for bucket, counts in list(self._finished.items()):
            safe = all(self._wanted[name].writer.acknowledged >= count for name, count in counts.items())
            if safe and not self._open[bucket]:
                del self._finished[bucket], self._open[bucket]
                for name in counts:
                    self._leases[name].give_back(bucket)

    def _read_news(self) -> None:
        """Strike what has been stored since from what is to do."""
        for name, news in self._news.items():
            inputs = self._wanted[name].inputs
            for row in news.read():
                clips = self._to_do.get(bucket_of(row.clip_id), {})
                if name not in clips.get(row.clip_id, ()) or inputs[row.clip_id] != row.input_sha256:
                    continue
                if serves(row.status, bool(row.places), retry_failed=False):
                    self._elsewhere.append(Elsewhere(row.clip_id, name, row.status))
                    self._strike(row.clip_id, name)

    def _strike(self, clip_id: str, name: str) -> None:
        bucket = bucket_of(clip_id)
        clips = self._to_do[bucket]
        clips[clip_id].discard(name)
        if not clips[clip_id]:
            del clips[clip_id]
        if not clips:
            del self._to_do[bucket]
