"""answers.jsonl: one line a clip, written as it is answered, so that an interrupted run goes on.

Knows lines and clip ids; what an answer says is not its business.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from emo.cache import fsops
from emo.errors import ConfigError

ROW = b'{"schema_version": '  # how every row begins


class _Row(NamedTuple):
    """What tells of an answer in the file: its line, its clip, and what it was given by and made of."""

    line: int
    clip_id: str
    run: str
    input: str


class AnswerFile:
    """Appends rows to `path`, which no other process may do meanwhile.

    ConfigError where another process has it open, or where a line is no answer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("ab+")
        try:
            self._lock()
            self._stream.seek(0)
            content = self._stream.read()
            whole = content[: content.rfind(b"\n") + 1]
            self._whole = len(whole)
            self._rows = [self._row(number, line) for number, line in enumerate(whole.splitlines(), start=1)]
            self._refuse_foreign(content[len(whole) :])
        except ConfigError:
            self._stream.close()
            raise

    def go_on(self, run: str, inputs: Mapping[str, str]) -> frozenset[str]:
        """Ids of the clips that are answered already. A last line that a kill tore is cut off: its clip is
        answered again.

        ConfigError where a row was answered by other weights or settings, its `run` is not `run`, or from
        another `input` than `inputs` has for its clip.
        """
        for row in self._rows:
            if row.run != run:
                raise ConfigError(
                    f"{self._path}: line {row.line} is of other weights, settings or features: {row.run}, "
                    f"not {run}. Name another file."
                )
            if row.input != inputs.get(row.clip_id, row.input):
                raise ConfigError(
                    f"{self._path}: line {row.line}: the words or the media of {row.clip_id!r} were others "
                    "then. Name another file."
                )
        self._stream.truncate(self._whole)  # only now: the file is ours
        return frozenset(row.clip_id for row in self._rows)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one answer, `schema_version` first; it is in the file's hands when this returns, on disk
        when the file is closed."""
        self._stream.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
        self._stream.flush()

    def _lock(self) -> None:
        if not fsops.flock(self._stream.fileno(), wait=False):
            raise ConfigError(f"{self._path}: another process writes its answers here. Name another --out.")

    def _refuse_foreign(self, torn: bytes) -> None:
        """ConfigError where a last line without its end is not the beginning of an answer."""
        if not torn.startswith(ROW[: len(torn)]):
            raise ConfigError(f"{self._path}: the last line is no answer. Name another --out.")

    def _row(self, number: int, line: bytes) -> _Row:
        try:
            row = json.loads(line)
            return _Row(number, str(row["clip_id"]), str(row["run"]), str(row["input"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._path}: line {number} is no answer: {error!r}. Name another --out."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
