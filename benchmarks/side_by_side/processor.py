"""Processor time and memory of a process and of everything it started, read from the kernel's own books."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
UTIME = 13  # the first of utime, stime, cutime, cstime among the fields of /proc/PID/stat


def cpu_seconds() -> float:
    """CPU-seconds of this process and of its descendants, living and ended."""
    return sum(_ticks(pid) for pid in (os.getpid(), *_descendants(os.getpid()))) / TICK


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
