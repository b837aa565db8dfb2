"""Subset: which clips a verification reads that does not read all of them.

Depends on ids alone, so it means the same after clips were added or a space was compacted. Reads nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256

from emo.errors import ConfigError

CIRCLE = 1 << 64


@dataclass(frozen=True, slots=True)
class Subset:
    """A share of all clips, 0 < share <= 1, by the first 8 bytes of the SHA-256 of their ids.

    Turn n + 1 begins where turn n ends: any ceil(1 / share) turns in sequence take every clip.
    """

    share: float
    turn: int

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigError(
                f"a subset is more than 0 % and at most 100 % of the records, not {self.share:%}"
            )

    def __contains__(self, clip_id: str) -> bool:
        width = math.ceil(self.share * CIRCLE)
        place = int.from_bytes(sha256(clip_id.encode()).digest()[:8])
        return (place - self.turn * width) % CIRCLE < width
