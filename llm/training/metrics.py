"""metrics.jsonl: every event of a run as it happens, one JSON object a line. Knows no trackers.

The text depends on the run alone, not on when it ran or how often it was interrupted: a run that goes on
cuts the file back to where its state was saved.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

from emo.cache import fsops
from emo.llm.training.events import StageEvent, as_row

METRICS = "metrics.jsonl"


class NoMetrics:
    """Stands for the file on ranks that do not write it."""

    length = 0

    def __enter__(self) -> NoMetrics:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, event: StageEvent) -> None:
        """Nothing."""

    def sync(self) -> None:
        """Nothing."""


class Metrics:
    """The open file, cut to its first `length` bytes."""

    def __init__(self, folder: Path, length: int) -> None:
        file = folder / METRICS
        file.touch()
        self._descriptor = fsops.open_update(file)
        self.length = min(length, fsops.size_of(self._descriptor))
        fsops.ftruncate(self._descriptor, self.length)

    def __enter__(self) -> Metrics:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fsops.close(self._descriptor)

    def write(self, event: StageEvent) -> None:
        """Append the event's line."""
        line = (json.dumps(as_row(event)) + "\n").encode()
        fsops.pwrite(self._descriptor, line, self.length)
        self.length += len(line)

    def sync(self) -> None:
        """Wait until every line is on the disk."""
        fsops.fdatasync(self._descriptor)
