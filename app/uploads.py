"""Uploads: bytes as they come, counted, into a file of a random place; looked at before anybody works on it.

Knows no models and no web library.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from emo.app.private import PrivateFolder
from emo.app.probe import Probed, probe
from emo.app.refusals import Refused, said_of
from emo.clip import Clip
from emo.config.app import AppLimits
from emo.errors import MediaError

FILE = "clip"  # the sender's name for it is never used


class Upload:
    """A file on its way in. `write` its bytes, then `finish`; `discard` at any time. `waits` says that nobody
    works on it or sends it: it may be taken, and may have to go where others come."""

    def __init__(self, folder: PrivateFolder, limits: AppLimits, now: float) -> None:
        self.place = folder.place()
        self.token = secrets.token_urlsafe(16)
        self.came = now
        self.probed: Probed | None = None
        self.waits = False
        self._folder, self._limits = folder, limits
        self._path = self.place / FILE
        self._stream = self._path.open("wb")
        self._bytes = 0

    def write(self, piece: bytes) -> None:
        """Take the next bytes. Refused, and everything removed, where they are too many."""
        self._bytes += len(piece)
        if self._bytes > self._limits.most_bytes:
            self.discard()
            raise too_large(self._limits)
        self._stream.write(piece)

    def finish(self) -> Probed:
        """What is in the file. Refused, and everything removed, where it is nothing that is answered for."""
        self._stream.close()
        try:
            if not self._bytes:
                raise Refused(422, "empty", "There are no bytes in this upload.")
            self.probed = probe(self._path, self._limits)
        except MediaError as error:
            self.discard()
            raise Refused(422, error.status, _why(error, self._limits)) from error
        except BaseException:
            self.discard()
            raise
        return self.probed

    def clip(self, text: str) -> Clip:
        """The clip, in which `text` is said."""
        return Clip(clip_id="clip", path=self._path, text=text)

    def discard(self) -> None:
        """Remove the file and everything made of it."""
        with suppress(OSError):
            self._stream.close()
        self._folder.remove(self.place)


class Uploads:
    """The uploads that wait for an answer, by their tokens; `most` of them, the oldest idle goes first."""

    def __init__(
        self,
        folder: PrivateFolder,
        limits: AppLimits,
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._limits, self._most, self._clock = folder, limits, most, clock
        self._held: dict[str, Upload] = {}
        self._lock = threading.Lock()

    def begin(self) -> Upload:
        """A new upload, in its sender's hands. Refused where all that may be held are sent or worked on."""
        with self._lock:
            if len(self._held) >= self._most:
                idle = [one for one in self._held.values() if one.waits]
                if not idle:
                    raise Refused(429, "busy", "Too many clips wait here already. Try again in a minute.")
                self._drop(min(idle, key=lambda one: one.came))
            upload = Upload(self._folder, self._limits, self._clock())
            self._held[upload.token] = upload
            return upload

    def keep(self, upload: Upload) -> str:
        """Let an upload wait until somebody takes it by the token."""
        with self._lock:
            upload.waits = True
        return upload.token

    def take(self, token: str) -> Upload:
        """The upload of that token, which is its holder's from now on. Refused where there is none."""
        with self._lock:
            upload = self._held.get(token)
            if upload is None or not upload.waits:
                raise Refused(404, "no_clip", "This clip is not here any more. Upload it again.")
            upload.waits = False
            return upload

    def drop(self, upload: Upload) -> None:
        """Remove an upload."""
        with self._lock:
            self._drop(upload)

    def sweep(self) -> None:
        """Remove what came too long ago."""
        with self._lock:
            for upload in [*self._held.values()]:
                if upload.waits and self._clock() - upload.came > self._limits.keep_seconds:
                    self._drop(upload)

    def _drop(self, upload: Upload) -> None:
        self._held.pop(upload.token, None)
        upload.discard()


def too_large(limits: AppLimits) -> Refused:
    """The refusal of an upload of too many bytes."""
    return Refused(413, "too_large", f"{limits.sentence()}: this is more.")


def _why(error: MediaError, limits: AppLimits) -> str:
    if error.status in ("failed:too_large", "failed:too_long"):
        return f"{limits.sentence()}: this clip is more. {error.reason[:1].upper()}{error.reason[1:]}."
    return said_of(error.status)
