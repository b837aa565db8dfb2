"""Row and Place: one record as the index and the journal know it.

Knows no encoding of either and no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """Where one array of a record lies: first row, number of rows, crc32c of their bytes."""

    start: int
    rows: int
    crc: int


NOWHERE = Place(0, 0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of the index. `meta` is canonical JSON; arrays that are not in `places` have no rows."""

    clip_id: str
    status: str
    reason: str
    meta: str
    input_sha256: bytes
    places: Mapping[str, Place] = field(default_factory=dict)
