"""The desk of a server: uploads come in, one job runs at a time, the others wait in a short queue.

A job runs in a thread of its own, so whoever waits for it is told in time that it takes too long. What is
remembered of a clip, to go on talking about it, is in memory only and not for long. Knows no web library.
"""

from __future__ import annotations

import queue
import secrets
import threading
import time
import unicodedata
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from emo.app.models import Answered, Models, Piece, Talk
from emo.app.private import PrivateFolder
from emo.app.probe import warm
from emo.app.refusals import Refused
from emo.app.timeline import NEEDS, Timeline, timeline_of
from emo.app.uploads import Upload, Uploads
from emo.cache import FeatureCache
from emo.clip import Clip
from emo.config.app import AppLimits
from emo.extractors.media import ReadViews
from emo.extractors.reading import guards, read_views_limited

MOST_TALKS = 8  # clips that are remembered to go on talking about
SWEEP_S = 30.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many jobs are before this one."""

    ahead: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Questions about the clip are answered under this token."""

    token: str


@dataclass(frozen=True, slots=True)
class _Started:
    """The job is being worked on."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """The job is over, by `error` where it failed."""

    error: BaseException | None = None


Event: TypeAlias = "Waiting | Timeline | Answered | Piece | Kept"
Made: TypeAlias = "Timeline | Answered | Piece | Talk"
Work: TypeAlias = "Callable[[], Generator[Made, None, None]]"
Told: TypeAlias = "queue.SimpleQueue[Made | _Started | _Ended]"


class Session:
    """Serves `models` under `limits`. `cache` holds features of clips that need no media, by their ids."""

    def __init__(
        self,
        models: Models,
        limits: AppLimits | None = None,
        *,
        cache: FeatureCache | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.models, self.limits, self.cache = models, limits or AppLimits(), cache
        self.folder = PrivateFolder()
        self.uploads = Uploads(self.folder, self.limits, self.limits.queue + 1, clock)
        self._clock = clock
        self._talks: dict[str, tuple[Talk, float]] = {}
        self._lock = threading.Lock()
        self._jobs = 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="job")
        self._over = threading.Event()
        threading.Thread(target=self._sweeping, name="sweep", daemon=True).start()

    def warm(self) -> None:
        """Start the decoding processes and load every weight, so that the first clip does not wait for it."""
        warm()
        guards(self.limits.media())
        self.models.warm()

    @property
    def jobs(self) -> int:
        """Jobs that run or wait."""
        return self._jobs

    def answer(
        self, upload: Upload, text: str = "", *, reasons: bool = True, timeline: bool = False
    ) -> Iterator[Event]:
        """What is seen and said of an upload, as it comes. Its files are gone when that is over, however.

        Refused where the queue is full, the words are too many, or the job takes too long.
        """
        try:
            clip = upload.clip(self.words(text))
            yield from self._run(
                lambda: self._work(clip, upload.place, reasons=reasons, timeline=timeline),
                after=lambda: self.uploads.drop(upload),
            )
        finally:
            self.uploads.drop(upload)

    def answer_of_ours(self, clip: Clip, *, reasons: bool = True, timeline: bool = True) -> Iterator[Event]:
        """The same of a clip of the server's own manifest, whose features are taken from its cache."""
        place = self.folder.place()
        try:
            yield from self._run(
                lambda: self._work(clip, place, reasons=reasons, timeline=timeline),
                after=lambda: self.folder.remove(place),
            )
        finally:
            self.folder.remove(place)

    def ask(self, token: str, question: str) -> Iterator[Event]:
        """The answer to a question about a clip that was answered for before, in pieces."""
        asked = self.words(question)
        if not asked:
            raise Refused(422, "no_question", "There is no question.")
        with self._lock:
            talk, _ = self._talks.get(token, (None, 0.0))
        if talk is None:
            raise Refused(404, "no_talk", "This clip is not remembered any more. Answer for it again.")
        held = talk
        yield from self._run(lambda: held.ask(asked))

    def words(self, text: str) -> str:
        """What somebody typed, without control characters and doubled spaces. Refused where too long."""
        kept = "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in text)
        words = " ".join(kept.split())
        if len(words) > self.limits.most_letters:
            raise Refused(422, "too_long", f"At most {self.limits.most_letters} letters of text.")
        return words

    def close(self) -> None:
        """Let no more jobs in, and remove every file."""
        self._over.set()
        self._worker.shutdown(wait=False, cancel_futures=True)
        self.folder.close()

    def _work(self, clip: Clip, place: Path, *, reasons: bool, timeline: bool) -> Generator[Made, None, None]:
        held = self.cache if self.cache is not None and self.models.held(clip, self.cache) else None
        wanted = (NEEDS if timeline else frozenset()) | (frozenset() if held else self.models.needs)
        views: ReadViews = {}
        if wanted and (held is None or clip.path.is_file()):
            views = read_views_limited(clip, wanted, self.limits.media())
        if timeline and views:
            yield timeline_of(clip, views)
        yield from self.models.answers(
            clip, held or self.models.extracted(clip, place, views), reasons=reasons
        )

    def _run(self, work: Work, after: Callable[[], None] = lambda: None) -> Iterator[Event]:
        """The events of one job, in its turn. `after` is called when the job's thread has done with it, which
        is later than the end of the events where the job is given up."""
        with self._lock:
            if self._jobs > self.limits.queue:
                raise Refused(429, "busy", f"{self._jobs} clips are before this one. Try again in a minute.")
            ahead, self._jobs = self._jobs, self._jobs + 1
        told: Told = queue.SimpleQueue()
        nobody = threading.Event()
        try:
            job = self._worker.submit(self._do, work, after, told, nobody)
        except RuntimeError as error:
            with self._lock:
                self._jobs -= 1
            raise _closing() from error
        job.add_done_callback(lambda job: self._end(after, told, _closing()) if job.cancelled() else None)
        try:
            if ahead:
                yield Waiting(ahead)
            yield from self._listen(told)
        finally:
            nobody.set()

    def _do(
        self,
        work: Work,
        after: Callable[[], None],
        told: Told,
        nobody: threading.Event,
    ) -> None:
        """In the job's thread: work, as long as somebody listens."""
        error: BaseException | None = None
        try:
            told.put(_Started())
            with closing(work()) as events:
                while not nobody.is_set() and (event := next(events, None)) is not None:
                    told.put(event)
        except BaseException as met:  # the edge of the thread: whoever listens gets it
            error = met
        finally:
            self._end(after, told, error)

    def _end(self, after: Callable[[], None], told: Told, error: BaseException | None) -> None:
        """The job is over, or was never begun because the server stops."""
        after()
        with self._lock:
            self._jobs -= 1
        told.put(_Ended(error))

    def _listen(self, told: Told) -> Iterator[Event]:
        ends: float | None = None
        while True:
            try:
                event = told.get(timeout=None if ends is None else max(0.0, ends - time.monotonic()))
            except queue.Empty as error:
                words = f"This takes longer than {self.limits.job_seconds:.0f} s and was given up."
                raise Refused(408, "too_slow", words) from error
            if isinstance(event, _Started):
                ends = time.monotonic() + self.limits.job_seconds
            elif isinstance(event, Talk):
                yield Kept(self._keep(event))
            elif not isinstance(event, _Ended):
                yield event
            elif event.error is None:
                return
            else:
                raise event.error

    def _keep(self, talk: Talk) -> str:
        token = secrets.token_urlsafe(16)
        with self._lock:
            while len(self._talks) >= MOST_TALKS:
                del self._talks[next(iter(self._talks))]
            self._talks[token] = (talk, self._clock())
        return token

    def _sweeping(self) -> None:
        while not self._over.wait(SWEEP_S):
            self.sweep()

    def sweep(self) -> None:
        """Remove and forget what is older than it may be."""
        self.uploads.sweep()
        with self._lock:
            old = self._clock() - self.limits.keep_seconds
            self._talks = {name: one for name, one in self._talks.items() if one[1] > old}


def _closing() -> Refused:
    return Refused(503, "closing", "This server is about to stop.")
