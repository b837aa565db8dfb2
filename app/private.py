"""A folder of this server alone: what strangers send lies there under random names, and not for long.

Only the owner may look into it. One that a killed server left behind is removed by the next that starts.
Knows no media.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "emo-app-"
LOCK = "lock"


class PrivateFolder:
    """Places for files, each a folder of its own. `close` removes everything."""

    def __init__(self) -> None:
        _remove_left_behind()
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self.root / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def place(self) -> Path:
        """A new empty folder with a name that nobody guesses."""
        place = self.root / secrets.token_hex(16)
        place.mkdir(mode=0o700)
        return place

    def remove(self, place: Path) -> None:
        """Remove one place and what is in it, and what an extraction left beside it."""
        shutil.rmtree(place, ignore_errors=True)

    def places(self) -> list[Path]:
        """What is there now."""
        with suppress(FileNotFoundError):
            return [one for one in self.root.iterdir() if one.is_dir()]
        return []

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.root, ignore_errors=True)
        with suppress(OSError):
            os.close(self._lock)
        self._lock = -1


def _remove_left_behind() -> None:
    """Remove folders of ours whose server is gone: nobody holds their lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
