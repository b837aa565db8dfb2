"""SHA-256 of files, remembered by (size, mtime, inode, ctime) so that an unchanged file is read once.

The memory is an append-only JSON-lines file that can be deleted at any time. It decides nothing but
whether to read again: a digest always comes from the bytes. ctime is there because a program can set mtime
back, but not it; a file that changed within the last seconds is not remembered, because it may change again
under the same times.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from emo.frames import frames_in

CHUNK_BYTES = 1 << 20
SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system in use (FAT)


def sha256_frames(frames: Sequence[Path]) -> str:
    """SHA-256 over the names and the bytes of the frames of a folder, in their order."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(f"{frame.name}\n{sha256_file(frame)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of the file's bytes, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class StatCache:
    """Digests by path, trusted while size, mtime, inode and ctime (ns) stand. `store` None remembers nothing.

    With `rehash` what was remembered before is not trusted: every file is read once.
    """

    def __init__(self, store: Path | None, *, rehash: bool = False) -> None:
        self._store = store
        self._known: dict[str, tuple[list[int], str]] = {}
        self._folders: dict[str, str] = {}
        if store is not None and store.exists() and not rehash:
            self._load(store)

    def _load(self, store: Path) -> None:
        for line in store.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                path, stamp, digest = json.loads(line)
            except ValueError:
                continue  # a line torn by a kill: that file is read again
            self._known[path] = (stamp, digest)

    def sha256(self, path: Path) -> str:
        """Digest of the file at `path`, or of the frames in the folder there; OSError where it cannot be read
        or is neither."""
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        key, status = os.path.join(self._folders[folder], name), path.stat()  # noqa: PTH118 - often
        frames = frames_in(path) if stat.S_ISDIR(status.st_mode) else []
        seen = [frame.stat() for frame in frames] or [status]
        if not all(stat.S_ISREG(one.st_mode) for one in seen):  # a pipe or a device would never end
            raise OSError(errno.EINVAL, "no regular file", str(path))
        stamp = _stamp(frames, seen)
        known = self._known.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        changed = max(max(one.st_mtime_ns, one.st_ctime_ns) for one in seen)
        settled = changed < time.time_ns() - SETTLED_NS
        digest = sha256_frames(frames) if frames else sha256_file(path)
        self._known[key] = (stamp, digest)
        if self._store is not None and settled:
            self._append(self._store, key, stamp, digest)
        return digest

    @staticmethod
    def _append(store: Path, key: str, stamp: list[int], digest: str) -> None:
        store.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps([key, stamp, digest]) + "\n"
        descriptor = os.open(store, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def _stamp(frames: Sequence[Path], seen: Sequence[os.stat_result]) -> list[int]:
    """What stands as long as nothing changed: of a file its size, times and inode; of frames how many there
    are and a digest of all theirs."""
    stamps = [[one.st_size, one.st_mtime_ns, one.st_ino, one.st_ctime_ns] for one in seen]
    if not frames:
        return stamps[0]
    listed = json.dumps([[frame.name, *stamp] for frame, stamp in zip(frames, stamps, strict=True)])
    return [len(frames), int(hashlib.sha256(listed.encode()).hexdigest()[:32], 16)]
