"""Leases: which clip ids of a space some live process is working on.

Ids fall into 4096 buckets; a bucket is leased by making its file, locking it and touching it now and then.
Only against wasted work: no record's safety depends on a lease, and a lease that is lost costs a clip that is
encoded twice.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from emo.cache import fsops
from emo.cache.paths import SpacePaths

BUCKET_BITS = 12
MISSED_BEATS = 3  # after so many a lease of another machine is free


def bucket_of(clip_id: str) -> int:
    """The bucket of a clip id: the top 12 bits of the SHA-256 of its UTF-8."""
    return int.from_bytes(sha256(clip_id.encode()).digest()[:2]) >> (16 - BUCKET_BITS)


class Leases:
    """The buckets of one space that this process holds. Beats in a thread of its own while it is open.

    On one machine the lock of the file tells a live holder from one that is gone. Elsewhere the heartbeat
    does: a file that three beats passed by is free. Beats are counted by the onlooker's own clock.
    """

    def __init__(self, paths: SpacePaths, beat_seconds: float) -> None:
        self._folder = paths.aside / "leases"
        self._beat = beat_seconds
        self._held: dict[int, int] = {}
        self._seen: dict[int, tuple[int, float]] = {}
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        for bucket in list(self._held):
            self.give_back(bucket)

    def take(self, bucket: int) -> bool:
        """Whether this process now holds the bucket; False where another live one does."""
        path = self._path(bucket)
        fsops.make_folder(self._folder)
        try:
            descriptor, new = fsops.create(path), True
        except FileExistsError:
            try:
                descriptor, new = fsops.open_update(path), False
            except FileNotFoundError:  # given back just now: the next try gets it
                return False
        taken = fsops.flock(descriptor, wait=False) and (new or self._abandoned(bucket, descriptor))
        if not taken or not fsops.is_named(descriptor, path):
            fsops.close(descriptor)
            return False
        fsops.ftruncate(descriptor, 0)
        fsops.pwrite(descriptor, json.dumps(self._note()).encode(), 0)
        with self._guard:
            self._held[bucket] = descriptor
        return True

    def give_back(self, bucket: int) -> None:
        """Let another process have the bucket; nothing where it was lost in the meantime."""
        with self._guard:
            descriptor = self._held.pop(bucket)
        if fsops.is_named(descriptor, self._path(bucket)):
            fsops.unlink(self._path(bucket))
        fsops.close(descriptor)

    def _abandoned(self, bucket: int, descriptor: int) -> bool:
        """Whether the holder of a file that we could lock is gone."""
        note = _read_note(descriptor)
        if note.get("machine") == _machine():
            return True  # its lock went with it
        touched, now = fsops.touched_at(descriptor), time.monotonic()
        if self._seen.get(bucket, (None, now))[0] != touched:
            self._seen[bucket] = (touched, now)
        return now - self._seen[bucket][1] > MISSED_BEATS * float(note.get("beat_seconds", self._beat))

    def _note(self) -> dict[str, Any]:
        return {"machine": _machine(), "pid": os.getpid(), "beat_seconds": self._beat}

    def _keep_alive(self) -> None:
        while not self._stop.wait(self._beat):
            with self._guard:
                for descriptor in self._held.values():
                    fsops.touch(descriptor)

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket:03x}"


def _read_note(descriptor: int) -> dict[str, Any]:
    """What the holder wrote; nothing where it has not written yet."""
    try:
        note = json.loads(fsops.pread(descriptor, fsops.size_of(descriptor), 0))
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def _machine() -> str:
    """A name for the kernel whose locks we see: of this boot where it says so, else the host's."""
    try:
        return fsops.read_file(Path("/proc/sys/kernel/random/boot_id")).decode().strip()
    except OSError:
        return platform.node()
