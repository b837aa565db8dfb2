"""Processor time and memory of a process and of everything it started, read from the kernel's own books."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Iterator
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
SET_CHILD_SUBREAPER = 36  # of <linux/prctl.h>
UTIME = 13  # the first of utime, stime, cutime, cstime among the fields of /proc/PID/stat


def cpu_seconds() -> float:
    """CPU-seconds of this process and of its descendants, living and ended."""
    return sum(_ticks(pid) for pid in (os.getpid(), *_descendants(os.getpid()))) / TICK


def adopt_orphans() -> None:
    """From now on processes that lose their parent become children of this one. Linux."""
    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def orphans() -> Iterator[resource.struct_rusage]:
    """What each child of this process has used, as it ends; all of them have to be ending."""
    while True:
        try:
            yield os.wait4(-1, 0)[2]
        except ChildProcessError:
            return


def _ticks(pid: int) -> int:
    return sum(int(field) for field in _stat(pid)[UTIME - 2 : UTIME + 2])


def _descendants(pid: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    waiting = children.get(pid, [])
    while waiting:
        child = waiting.pop()
        yield child
        waiting += children.get(child, [])


def _stat(pid: int) -> list[str]:
    """The fields behind the name, which may hold spaces; zeros for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ["0"] * (UTIME + 2)
    return text.rpartition(")")[2].split()
