"""The extract loop: clips to views, once a clip, to every encoder that wants them, to the cache.

Reading runs ahead in limited worker processes; encoding and writing stay in this one. A clip that cannot give
a feature gets a status, and nothing else is lost.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import islice

from emo.cache import Elsewhere, SharedWork, SpaceWriter, Turn, Wanted
from emo.config.cache import Durability
from emo.config.extract import DEFAULTS, MediaLimits
from emo.extractors.reading import Asked, Reading, read_ahead
from emo.pipeline.canary import check_canary
from emo.pipeline.encoding import records_of
from emo.pipeline.forecast import MediaDone
from emo.pipeline.people import faces_at_once
from emo.pipeline.plan import EncoderPlan, ExtractPlan, Failure
from emo.pipeline.progress import ExtractProgress
from emo.records import Record, usable
from emo.views import View


def run_plan(
    plan: ExtractPlan,
    *,
    jobs: int = 0,
    batch: int = 1,
    durability: Durability = "batch",
    limits: MediaLimits = DEFAULTS,
    clock: dict[str, float],
) -> Iterator[ExtractProgress]:
    """Encode and store what the plan has to do; yields after each clip. `clock` gathers seconds by step.

    `batch` clips go through an encoder together; with 1 a record's bytes never depend on its neighbours.
    What another live process works on is left to it, and done here if it goes without storing it.
    """
    if not plan.to_do:
        return
    parts = {part.space.name: part for part in plan.parts if part.to_do}
    writers = {name: part.space.writer(durability=durability) for name, part in parts.items()}
    tally = _Tally(plan)
    with ExitStack() as stack:
        work = stack.enter_context(SharedWork([_wanted(parts[name], writers[name]) for name in parts]))
        for writer in writers.values():
            stack.enter_context(writer)
        store = _Store(parts, writers, clock)
        for turns in work.rounds():
            readings = stack.enter_context(closing(_readings(plan, turns, jobs, limits)))
            while together := list(islice(readings, batch)):
                clock["decode"] += sum(reading.seconds for reading in together)
                failures = store.put(together)
                for reading in together:
                    work.done(reading.key)
                    failed = failures[reading.key.clip_id]
                    done = tally.after(reading, failed, store.bytes, work.elsewhere())
                    yield replace(done, crowded=store.crowded)
        yield from tally.rest(work.elsewhere())


def _wanted(part: EncoderPlan, writer: SpaceWriter) -> Wanted:
    return Wanted(part.space, writer, {clip_id: part.inputs[clip_id] for clip_id in part.to_do})


def _readings(
    plan: ExtractPlan, turns: Iterable[Turn], jobs: int, limits: MediaLimits
) -> Generator[Reading[Turn], None, None]:
    """What each turn needs of its clip, read ahead in limited processes."""
    clips = {clip.clip_id: clip for clip in plan.clips}
    needs = {part.space.name: part.encoder.needs for part in plan.parts}
    asked = (
        Asked(
            key=turn,
            clip=clips[turn.clip_id],
            views=frozenset[View]().union(*(needs[name] for name in turn.spaces)),
        )
        for turn in turns
    )
    return read_ahead(asked, limits, jobs=jobs)


class _Store:
    """Encodes readings and puts the records where they belong, once the encoder's canary sang as before."""

    def __init__(
        self, parts: dict[str, EncoderPlan], writers: dict[str, SpaceWriter], clock: dict[str, float]
    ) -> None:
        self._parts, self._writers, self._clock = parts, writers, clock
        self._checked: set[str] = set()
        self._crowded: set[str] = set()
        self.bytes = 0

    @property
    def crowded(self) -> int:
        """Clips that show several people, of whom nobody said whom they are about."""
        return len(self._crowded)

    def put(self, readings: Sequence[Reading[Turn]]) -> dict[str, list[Failure]]:
        """What failed, by clip id."""
        failures: dict[str, list[Failure]] = {reading.key.clip_id: [] for reading in readings}
        for name, part in self._parts.items():
            wanted = [reading for reading in readings if name in reading.key.spaces]
            nameless = {reading.clip.clip_id for reading in wanted if reading.clip.person is None}
            for record in self._encoded(part, wanted):
                if record.clip_id in nameless and faces_at_once(record.meta) > 1:
                    self._crowded.add(record.clip_id)
                failure = self._put(name, record)
                if failure is not None:
                    failures[record.clip_id].append(failure)
        return failures

    def _encoded(self, part: EncoderPlan, readings: Sequence[Reading[Turn]]) -> list[Record]:
        started = time.monotonic()
        records = records_of(part, readings)
        name = part.space.name
        if name not in self._checked and any(record.arrays for record in records):
            check_canary(part.encoder, part.space)
            self._checked.add(name)
        self._clock["encode"] += time.monotonic() - started
        return records

    def _put(self, name: str, record: Record) -> Failure | None:
        started = time.monotonic()
        stored = self._writers[name].put(record)
        self._clock["write"] += time.monotonic() - started
        spec = self._parts[name].encoder.spec
        self.bytes += sum(array.size * spec.arrays[key].item_bytes for key, array in stored.arrays.items())
        if usable(stored.status, accept_degraded=True):
            return None
        return Failure(
            clip_id=record.clip_id, encoder=spec.encoder, status=stored.status, reason=stored.reason
        )


class _Tally:
    """What is done so far, by this process and by others."""

    def __init__(self, plan: ExtractPlan) -> None:
        self._encoders = {part.space.name: part.encoder.spec.encoder for part in plan.parts}
        self._total, self._done, self._elsewhere, self._bytes = plan.to_do, 0, 0, 0
        self._media = MediaDone(plan.clips, plan.encoders_of())
        self._share: float | None = None

    def after(
        self,
        reading: Reading[Turn],
        failures: Sequence[Failure],
        stored_bytes: int,
        elsewhere: Sequence[Elsewhere],
    ) -> ExtractProgress:
        clip_id = reading.key.clip_id
        self._done += len(reading.key.spaces)
        self._bytes = stored_bytes
        self._share = self._media.after(clip_id, reading.media_seconds)
        return self._progress(clip_id, failures, elsewhere)

    def rest(self, elsewhere: Sequence[Elsewhere]) -> Iterator[ExtractProgress]:
        if elsewhere:
            yield self._progress(elsewhere[-1].clip_id, (), elsewhere)

    def _progress(
        self, clip_id: str, failures: Sequence[Failure], elsewhere: Sequence[Elsewhere]
    ) -> ExtractProgress:
        for one in elsewhere:
            self._share = self._media.after(one.clip_id, None)
        bad = [one for one in elsewhere if not usable(one.status, accept_degraded=True)]
        self._done += len(elsewhere)
        self._elsewhere += len(elsewhere) - len(bad)
        theirs = [
            Failure(
                clip_id=one.clip_id,
                encoder=self._encoders[one.space],
                status=one.status,
                reason="as another process found",
            )
            for one in bad
        ]
        return ExtractProgress(
            done=self._done,
            total=self._total,
            clip_id=clip_id,
            failures=(*failures, *theirs),
            elsewhere=self._elsewhere,
            share=self._share,
            bytes=self._bytes,
        )
