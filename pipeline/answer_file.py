"""answers.jsonl: one line a clip, written as it is answered, so that an interrupted run goes on.

Knows lines and clip ids; what an answer says is not its business.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from emo.errors import ConfigError

ROW = b'{"schema_version": '  # how every row begins


class AnswerFile:
    """Appends rows to `path`. `done` are the ids of the clips that it held when it was opened.

    A last line that a kill tore is cut off: its clip is answered again. ConfigError where another line is
    no answer, or was answered by other weights or settings: its key `run` is not `run`.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._run = run
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("ab+")
        self._stream.seek(0)
        content = self._stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            self.done = frozenset(
                self._clip_id(path, number, line) for number, line in enumerate(whole.splitlines(), start=1)
            )
            self._refuse_foreign(path, content[len(whole) :])
        except ConfigError:
            self._stream.close()
            raise
        self._stream.truncate(len(whole))  # only now: the file is ours

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one answer, `schema_version` first; it is in the file's hands when this returns, on disk
        when the file is closed."""
        self._stream.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
        self._stream.flush()

    def _refuse_foreign(self, path: Path, torn: bytes) -> None:
        """ConfigError where a last line without its end is not the beginning of an answer."""
        if not torn.startswith(ROW[: len(torn)]):
            raise ConfigError(f"{path}: the last line is no answer. Name another --out.")

    def _clip_id(self, path: Path, number: int, line: bytes) -> str:
        try:
            row = json.loads(line)
            clip_id, run = str(row["clip_id"]), row["run"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path}: line {number} is no answer: {error!r}. Name another --out."
            ) from error
        if run != self._run:
            raise ConfigError(
                f"{path}: line {number} is of other weights or settings: {run}, not {self._run}. "
                "Name another file."
            )
        return clip_id

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
