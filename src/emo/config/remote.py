"""Settings of remote caches, with their defaults. Knows no store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteSettings:
    """How patient a remote store is asked.

    A request that fails in passing is made `tries` times, after a random wait of up to `first_wait_s`,
    doubled each time up to `longest_wait_s`. One request may last `request_s`, making a connection
    `connect_s`. Objects larger than `part_bytes` are moved in parts of that size. `at_once` is the number of
    requests under way at one time.
    """

    tries: int = 6
    first_wait_s: float = 0.2
    longest_wait_s: float = 10.0
    request_s: float = 60.0
    connect_s: float = 10.0
    part_bytes: int = 16 << 20
    at_once: int = 8


DEFAULTS = RemoteSettings()
