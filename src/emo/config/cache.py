"""Settings of the feature cache, with their defaults. Knows no code of the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Durability = Literal["batch", "record", "none"]
Check = Literal["every", "first", "never"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheSettings:
    """How a cache is written and read.

    `durability`: `batch` syncs every `batch_records` records, `record` every one, `none` never (safe
    against kills of the process, not of the machine). `publish_records` is how many records a writer
    lets gather in its journal before it folds them into the index. `shard_bytes` is the size of the
    files that hold the features; it is fixed when a space is made. A process that works on a clip says so
    to others every `lease_beat_seconds`.

    `check` is when a record's checksum is compared: on `every` read, on the `first` read of an open space
    (what changes in the file after that goes unseen), or `never`.
    """

    durability: Durability = "batch"
    batch_records: int = 32
    publish_records: int = 4096
    shard_bytes: int = 1 << 27
    lease_beat_seconds: float = 5.0
    check: Check = "every"


DEFAULTS = CacheSettings()
