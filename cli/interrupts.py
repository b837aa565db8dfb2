"""What a signal does to a command: it ends by an exception that is told as an interruption, with code 75.

Ctrl-C, SIGTERM (batch systems, `docker stop`) and SIGUSR1 (SLURM's warning before the end) are the same here.
The training stage sets handlers of its own inside, as it saves before it leaves. Knows no command.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class SignalReceived(KeyboardInterrupt):
    """A signal asked the command to stop.

    A class of its own: where a plain KeyboardInterrupt passes through `exec` of a text (dataclasses and other
    libraries do that while they are imported), CPython 3.11 ends the process by SIGINT whatever catches it
    later (`_Py_UnhandledKeyboardInterrupt` in Python/pythonrun.c).
    """


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Raise SignalReceived at the first of the signals; a Ctrl-C after it ends the process at once.

    Outside the main thread, where Python allows no handlers, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise SignalReceived(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
