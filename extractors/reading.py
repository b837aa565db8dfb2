"""Views of clips, read in limited worker processes: what a file does to its decoder costs that clip alone.

A crash, a hang or a full memory becomes a status like any other. Reading runs ahead of whoever takes the
views, in order, and holds no more than a few clips. Knows no encoders and no storage.
"""

from __future__ import annotations

import atexit
import os
import time
from collections import deque
from collections.abc import Collection, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from emo.canonical import Json
from emo.clip import Clip
from emo.config.extract import DEFAULTS, MediaLimits
from emo.extractors.augment import plain, with_augmented
from emo.extractors.media import ReadViews, read_views
from emo.extractors.wire import answer_of, order_of, read_answer, read_order
from emo.extractors.words import read_texts
from emo.safety.limits import Limits
from emo.safety.messages import BrokenMessage, Message
from emo.safety.workers import Ended, Guards, LimitedWorkers
from emo.views import FacesView, FrameView, MediaView, PeopleView, TextView, View, ViewData, ViewProblem

OPEN_FILES = 64
CLIPS_AHEAD = 2  # for each worker
MOST_AHEAD = 1 << 30  # bytes of views that wait; beyond them no further clip is begun
SOUND = ("emo.extractors.media", "av", "soxr", "PIL.Image")
FACES = (*SOUND, "facenet_pytorch")  # brings torch, which takes seconds to import

Key = TypeVar("Key")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked(Generic[Key]):
    """Views that are wanted of a clip; `key` comes back with them."""

    key: Key
    clip: Clip
    views: frozenset[View]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading(Generic[Key]):
    """The views of a clip, or why each could not be had, and the seconds that it took."""

    key: Key
    clip: Clip
    views: ReadViews
    seconds: float

    @property
    def media_seconds(self) -> float | None:
        """How long the clip is, where a view of it could be had and the file says so."""
        lengths = (one.media_seconds for one in self.views.values() if isinstance(one, ViewData))
        return next((length for length in lengths if length is not None), None)


def read_views_limited(
    clip: Clip, views: Collection[View], limits: MediaLimits = DEFAULTS, *, data: bytes | None = None
) -> ReadViews:
    """As `read_views`, in a worker process with limits on memory, time, files and network; texts and
    augmented views too.

    Statuses beyond its own: failed:timeout, failed:out_of_memory, failed:crashed, missing:no_text. `data` are
    the media's bytes where there is no file; the clip's path then only names them.
    """
    return _read(clip, views, limits, data)


def read_ahead(
    asked: Iterable[Asked[Key]], limits: MediaLimits = DEFAULTS, *, jobs: int = 0
) -> Generator[Reading[Key], None, None]:
    """Readings of `asked`, in its order, by `jobs` worker processes (0: one a core) that run ahead.

    Close the iterator where it is not read to its end: that ends the reading that is under way.
    """
    jobs = jobs or os.cpu_count() or 1
    ahead: deque[Future[Reading[Key]]] = deque()
    used: set[LimitedWorkers] = set()
    with ThreadPoolExecutor(jobs, thread_name_prefix="reader") as threads:
        try:
            for one in asked:
                if of_media := _of_media(one.views):
                    workers = _workers(limits, _looks_for_faces(of_media))
                    workers.start()
                    used.add(workers)
                ahead.append(threads.submit(_reading, one, limits))
                while len(ahead) >= CLIPS_AHEAD * jobs or _bytes_held(ahead) > MOST_AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            if ahead:
                threads.shutdown(wait=False, cancel_futures=True)
                for workers in used:
                    workers.close()


def guards(limits: MediaLimits = DEFAULTS) -> Guards:
    """Which guards hold for decoding on this machine: whether the workers' network is cut, for one."""
    return _workers(limits, False).guards()


def work(order: Json, buffers: list[bytearray]) -> Message:
    """What a worker process does: read the views that it is asked for."""
    clip, views, limits = read_order(order)
    found = read_views(clip, views, limits, data=bytes(buffers[0]) if buffers else None)
    return answer_of([found[view] for view in views])


def _reading(asked: Asked[Key], limits: MediaLimits) -> Reading[Key]:
    started = time.monotonic()
    views = _read(asked.clip, asked.views, limits, None)
    return Reading(key=asked.key, clip=asked.clip, views=views, seconds=time.monotonic() - started)


def _read(clip: Clip, views: Collection[View], limits: MediaLimits, data: bytes | None) -> ReadViews:
    chosen = _of_media(views)
    found = read_texts(clip, views) | (_read_media(clip, chosen, limits, data) if chosen else {})
    return with_augmented(found, [*views], clip.clip_id)


def _read_media(
    clip: Clip, chosen: Sequence[MediaView], limits: MediaLimits, data: bytes | None
) -> ReadViews:
    workers = _workers(limits, _looks_for_faces(chosen))
    answer = workers.call(order_of(clip, chosen, limits), [] if data is None else [data])
    try:
        if isinstance(answer, Message):
            return dict(zip(chosen, read_answer(answer, len(chosen)), strict=True))
    except BrokenMessage as error:
        answer = Ended("crashed", f"the decoding process answered nonsense: {error}")
    return dict.fromkeys(chosen, ViewProblem(status=f"failed:{answer.how}", reason=answer.reason))


def _bytes_held(ahead: Iterable[Future[Any]]) -> int:
    """Bytes of the views that are read and wait to be taken."""
    done = [one.result() for one in ahead if one.done() and one.exception() is None]
    return sum(view.array.nbytes for one in done for view in one.views.values() if isinstance(view, ViewData))


def _of_media(views: Collection[View]) -> list[MediaView]:
    plain_ones = {plain(view) for view in views}
    return sorted((view for view in plain_ones if not isinstance(view, TextView)), key=repr)


def _looks_for_faces(views: Collection[MediaView]) -> bool:
    return any(
        isinstance(view, PeopleView)
        or (isinstance(view, FacesView) and view.alignment == "box")
        or (isinstance(view, FrameView) and view.choice == "peak")
        for view in views
    )


def _workers(limits: MediaLimits, faces: bool) -> LimitedWorkers:
    return _made(
        Limits(
            memory_bytes=limits.most_memory,
            cpu_seconds=limits.most_cpu_seconds,
            wall_seconds=limits.most_wall_seconds,
            file_bytes=0,
            open_files=OPEN_FILES,
        ),
        faces,
    )


@cache
def _made(limits: Limits, faces: bool) -> LimitedWorkers:
    """One set of workers a process for the same limits: starting the next run costs a fork, no import."""
    workers = LimitedWorkers("emo.extractors.reading:work", limits, FACES if faces else SOUND)
    atexit.register(workers.close)
    return workers
