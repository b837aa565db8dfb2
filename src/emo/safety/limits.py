"""What a process of emo's may use, and the calls that close those limits on the process that makes them.

Limits only ever narrow. Knows nothing of what runs under them.
"""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # of <linux/sched.h>


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the process may use. `memory_bytes` counts beyond what importing the code itself takes.

    `cpu_seconds` and `wall_seconds` are for one piece of work.
    """

    memory_bytes: int = 8 << 30
    cpu_seconds: int = 3600
    wall_seconds: float = 7200.0
    file_bytes: int = 16 << 30
    open_files: int = 256


def close_limits(limits: Limits) -> None:
    """Everything but the processor time, which `allow_cpu` grants."""
    _limit(resource.RLIMIT_AS, address_space() + limits.memory_bytes)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _limit(resource.RLIMIT_NOFILE, limits.open_files)
    _limit(resource.RLIMIT_CORE, 0)


def allow_cpu(seconds: int) -> None:
    """From now on so many seconds of processor time; then the system ends the process with SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    allowed = int(used.ru_utime + used.ru_stime) + 1 + seconds
    soft = allowed if hard == resource.RLIM_INFINITY else min(allowed, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def be_killed_first() -> None:
    """Where the machine's memory is full, the system ends this process before any other."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def leave_network() -> bool:
    """Give up every network interface, loopback too; False where the kernel does not allow that.

    Works in a process of one thread. As root the user namespace is kept, so that files stay readable.
    """
    try:
        unshare = ctypes.CDLL(None, use_errno=True).unshare
    except (OSError, AttributeError):  # no Linux
        return False
    return any(unshare(flags) == 0 for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET))


def address_space() -> int:
    """Bytes of address space in use; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return 0
    return pages * resource.getpagesize()


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (allowed, allowed))
