"""DamagedFile: damage that knows the file it is in."""

from __future__ import annotations

from pathlib import Path

from emo.errors import DamagedCache


class DamagedFile(DamagedCache):
    """Bytes of one file are not what was written; the message begins with its path."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem
