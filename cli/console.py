"""How the command line speaks: results to stdout, progress and notes to stderr.

On a terminal progress is a bar with ETA; elsewhere plain lines, at most one every few seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SCHEMA_VERSION = 1
PLAIN_INTERVAL_S = 5.0


class Meter(Protocol):
    """Shows how far a piece of work has come."""

    def update(self, done: float, total: float, note: str = "", *, share: float | None = None) -> None:
        """Show `done` of `total`; `note` is a few words. `share` is how much of the time they take, where
        that is known better than by their number."""


@dataclass(frozen=True, slots=True)
class Voice:
    """What the user asked about the command's talkativeness."""

    verbose: int = 0
    quiet: bool = False

    def note(self, text: str) -> None:
        """One line to stderr, unless quiet."""
        if not self.quiet:
            click.echo(text, err=True)

    @contextmanager
    def meter(self, title: str) -> Iterator[Meter]:
        """A progress meter on stderr for the length of the block."""
        if self.quiet:
            yield _Silent()
        elif sys.stderr.isatty():
            with _bar() as progress:
                yield _Bar(progress, progress.add_task(title, total=None, note="", count=""))
        else:
            yield _Lines(title)

    @contextmanager
    def steps(self) -> Iterator[Steps]:
        """A meter for work that goes through named steps, one after the other."""
        shown = Steps(self)
        try:
            yield shown
        finally:
            shown.close()


class Steps:
    """Draws a meter of its own for each step."""

    def __init__(self, speaker: Voice) -> None:
        self._speaker = speaker
        self._open = ExitStack()
        self._step = ""
        self._meter: Meter = _Silent()

    def show(self, step: str, done: float, total: float, note: str = "") -> None:
        """`done` of `total` of `step`; a new step closes the one before."""
        if step != self._step:
            self.close()
            self._step = step
            self._meter = self._open.enter_context(self._speaker.meter(step))
        self._meter.update(done, total, note)

    def close(self) -> None:
        """Close the meter of the last step."""
        self._open.close()


def voice(ctx: click.Context) -> Voice:
    """The Voice of this run; a plain one where a verb is called on its own, as tests do."""
    return ctx.obj if isinstance(ctx.obj, Voice) else Voice()


def print_json(payload: dict[str, object]) -> None:
    """One JSON object on stdout, with the schema version first."""
    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **payload}, ensure_ascii=False))


def quieten_transformers() -> None:
    """No bars and no warnings of transformers, peft and the hub's client between ours."""
    import warnings

    from huggingface_hub.utils import logging as hub
    from transformers.utils import logging

    hub.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    for package in ("transformers", "peft"):
        warnings.filterwarnings("ignore", module=package)


class _Silent:
    def update(self, done: float, total: float, note: str = "", *, share: float | None = None) -> None:
        pass


class _Lines:
    """Time left follows from what was done since the first update, also where earlier work goes on."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = self._spoke = time.monotonic()
        self._first: tuple[float, float] | None = None  # when, and which share was done

    def update(self, done: float, total: float, note: str = "", *, share: float | None = None) -> None:
        now = time.monotonic()
        if share is None:
            share = done / total if total else 1.0
        if self._first is None:
            self._first = (now, share)
        if now - self._spoke < PLAIN_INTERVAL_S and done < total:
            return
        self._spoke = now
        time_told = f", {now - self._started:.0f} s" if done >= total else self._left(now, share)
        click.echo(f"{self._title}: {done:.0f}/{total:.0f}{time_told}{f'  {note}' if note else ''}", err=True)

    def _left(self, now: float, share: float) -> str:
        began, before = self._first or (self._started, 0.0)
        if share <= before:
            return ""
        return f", {(now - began) / (share - before) * (1 - share):.0f} s left"


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def update(self, done: float, total: float, note: str = "", *, share: float | None = None) -> None:
        if share is None:
            share = done / total if total else 1.0
        count = f"{done:.0f}/{total:.0f}"
        self._progress.update(self._task, completed=share, total=1.0, note=note, count=count)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeRemainingColumn(table_column=Column(min_width=7, no_wrap=True)),
        TextColumn("{task.fields[note]}", style="dim"),
        console=Console(stderr=True),
    )
