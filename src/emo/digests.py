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
from pathlib import Path

CHUNK_BYTES = 1 << 20
SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system in use (FAT)


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
        """Digest of the file at `path`; OSError where it cannot be read or is no regular file."""
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        key, status = os.path.join(self._folders[folder], name), path.stat()  # noqa: PTH118 - often
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device would never end
            raise OSError(errno.EINVAL, "no regular file", str(path))
        stamp = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]
        known = self._known.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        settled = max(status.st_mtime_ns, status.st_ctime_ns) < time.time_ns() - SETTLED_NS
        digest = sha256_file(path)
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
