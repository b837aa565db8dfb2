"""DamagedFile: damage that knows the file it is in. SnapshotGone: what looks like it after a compaction."""

from __future__ import annotations

from pathlib import Path

from emo.errors import CacheError, DamagedCache


class DamagedFile(DamagedCache):
    """Bytes of one file are not what was written; the message begins with its path."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class SnapshotGone(CacheError):
    """The space was compacted since it was opened; what was known of its rows no longer holds."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was compacted while it was read. Open it again.")
