"""At which moments of a clip frames are wanted. Pure arithmetic; knows no decoder."""

from __future__ import annotations

import re

from emo.errors import ConfigError

ALL = "all"
EXPRESSIVE = "onset-apex-offset"


def moment_count(rule: str) -> int | None:
    """How many moments a sampling rule asks for; None for `all`.

    Raises ConfigError where the rule is none of `uniform:N`, `segments:KxM`, `onset-apex-offset:N`, `all`.
    """
    if rule == ALL:
        return None
    uniform = re.fullmatch(rf"(?:uniform|{EXPRESSIVE}):([1-9]\d*)", rule)
    segments = re.fullmatch(r"segments:([1-9]\d*)x([1-9]\d*)", rule)
    if uniform:
        return int(uniform[1])
    if segments:
        return int(segments[1]) * int(segments[2])
    raise ConfigError(f"Unknown sampling {rule!r}. Known: uniform:N, segments:KxM, {EXPRESSIVE}:N, all.")


def expressive(rule: str) -> bool:
    """Whether the rule's moments depend on what the face shows."""
    return rule.partition(":")[0] == EXPRESSIVE


def moments(rule: str, start: float, end: float) -> list[float]:
    """The moments of `uniform:N` or `segments:KxM` between `start` and `end`, in seconds.

    N moments are the middles of N equal parts; M fixed moments in each of K parts are the middles of
    K x M equal parts, so `segments:8x2` and `uniform:16` agree.
    """
    count = moment_count(rule)
    if count is None or expressive(rule):
        raise ConfigError(f"The sampling {rule!r} has no moments of its own.")
    part = (end - start) / count
    return [start + (index + 0.5) * part for index in range(count)]


def spread(count: int, chosen: int) -> list[int]:
    """`chosen` indices out of `count`, evenly, first and last included; 0 or more than `count`: all."""
    if chosen <= 0 or chosen >= count:
        return list(range(count))
    if chosen == 1:
        return [count // 2]
    return sorted({round(index * (count - 1) / (chosen - 1)) for index in range(chosen)})
