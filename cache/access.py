"""How a cache was opened: what may be done with it, and what is shown of it."""

from __future__ import annotations

from dataclasses import dataclass

from emo.config.cache import DEFAULTS, Check


@dataclass(frozen=True, slots=True)
class Access:
    """`writable` allows to add records, `accept_degraded` shows those of damaged media as sound ones, `check`
    is when records are compared with their checksums."""

    writable: bool = False
    accept_degraded: bool = False
    check: Check = DEFAULTS.check
