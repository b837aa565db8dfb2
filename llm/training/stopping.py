"""Stop signals as a flag that a run looks at between micro-batches. Saves nothing and ends no process.

SIGTERM and SIGUSR1 are what batch systems send ahead of a kill, SIGINT is Ctrl-C.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class StopAsked(Exception):  # nothing went wrong: it unwinds the step under way
    """Raised where a run looks at its flag and finds it set."""


class Stop:
    """Whether the run was asked to stop, and by what."""

    def __init__(self) -> None:
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Set the flag; the first reason stands."""
        self.reason = self.reason or reason

    def check(self) -> None:
        """StopAsked where the flag is set."""
        if self.reason:
            raise StopAsked(self.reason)


@contextmanager
def stop_signals(on_signal: Callable[[str], None] = lambda _: None) -> Iterator[Stop]:
    """A flag that the three signals set for the length of the block; `on_signal` hears the signal's name.

    A Ctrl-C after the first signal has its default effect: the process ends at once. Outside the main
    thread, where Python allows no handlers, the flag is never set by a signal.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, _: FrameType | None) -> None:
        first = not stop.reason
        name = signal.Signals(number).name
        stop.ask(name)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if first:
            on_signal(name)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
