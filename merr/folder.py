"""The folder of a build: files appear whole or not at all, one build works on it at a time.

    MERR_coarse_grained.json|txt, MERR_fine_grained.json|txt      what `emo train-llm --merr` reads
    clues/ab/<key>.json, pictures/ab/<key>.jpg                    what was seen and heard, by what was read
    sounds/ab/<key>.wav                                           where a model listens
    answers/ab/<key>.json                                         every answer that was paid for
    drops.jsonl, quality.json, README.md, review.html
    review.json                                                   a reviewer's verdicts, where there are any
    .work/                                                        lock, digests, files in the making

A key is the digest of everything that decides the file, so what is there need not be made again. Knows no
clips and no texts.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from emo.canonical import Json
from emo.errors import ConfigError

WORK, DIGESTS = ".work", "digests.jsonl"
CLUES, PICTURES, SOUNDS, ANSWERS = "clues", "pictures", "sounds", "answers"
_numbers = count()


class BuildFolder:
    """One build's folder at `root`; makes nothing before something is written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._partials = root / WORK / "partial"

    @property
    def digests(self) -> Path:
        """Where digests of media files are remembered."""
        return self.root / WORK / DIGESTS

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other builds out of the folder, and clears what a killed one left in the making.

        ConfigError where another build is at work.
        """
        (self.root / WORK).mkdir(parents=True, exist_ok=True)
        with (self.root / WORK / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConfigError(f"{self.root}: another build is at work here. Wait for it.") from error
            shutil.rmtree(self._partials, ignore_errors=True)
            yield

    def keyed(self, kind: str, key: str, suffix: str) -> Path:
        """Where the file of a key lies."""
        return self.root / kind / key[:2] / f"{key}{suffix}"

    def write(self, path: Path, data: bytes, *, durable: bool = False) -> None:
        """Put `data` at `path`, whole; `durable` survives a loss of power as well."""
        self._partials.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        name = f"{os.getpid()}-{threading.get_ident()}-{next(_numbers)}"
        partial = self._partials / name
        with partial.open("wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        partial.replace(path)

    def write_text(self, name: str, text: str) -> None:
        """Put a text at `name`, unless it is what lies there."""
        data, path = text.encode(), self.root / name
        if not path.is_file() or path.read_bytes() != data:
            self.write(path, data)

    def remove(self, name: str) -> None:
        """Remove a file that this build does not have."""
        (self.root / name).unlink(missing_ok=True)

    def keep_only(self, kind: str, names: Collection[str]) -> None:
        """Remove keyed files of a kind that this build does not use, such as those of media since changed."""
        folder = self.root / kind
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and path.name not in names:
                path.unlink()
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def read_keyed(path: Path) -> dict[str, Json] | None:
    """The JSON object at `path`; None where there is none or it is damaged, as it can be made again."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
