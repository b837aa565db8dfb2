"""Record and FeatureSink: what an extractor hands over and what takes it.

The extractor does not know the store, the store does not know the extractor; both know this page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json

OK = "ok"
RETRACTED = "retracted"
NO_INPUT = bytes(32)  # the input digest of something that could not be hashed

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One clip under one spec: its arrays, or the status that says why there are none.

    `status` is `ok`, `degraded:<why>`, `missing:<why>`, `failed:<why>` or `retracted`. `arrays` holds
    frames (T, D), tokens (N, D) and utterance (D,) by name. `input_sha256` is the digest of exactly what
    the encoder read (32 bytes). `reason` is one line for people; `meta` is plain JSON: times, boxes, flags.

    >>> import numpy as np
    >>> record = emo.Record(clip_id="anna-1", arrays={"utterance": np.ones(4)})
    >>> record.status, emo.Record(clip_id="anna-2", status="missing:no_face").arrays
    ('ok', {})
    """

    clip_id: str
    arrays: Mapping[str, Array] = field(default_factory=dict)
    status: str = OK
    reason: str = ""
    input_sha256: bytes = NO_INPUT
    meta: Mapping[str, Json] = field(default_factory=dict)


class FeatureSink(Protocol):
    """Anything that takes records; the cache's writer is one."""

    def put(self, record: Record) -> Record:
        """Accept one record and return it as kept: values that are no features become a status.

        It is safe once the sink has acknowledged it, see the sink's durability.
        """


def usable(status: str, *, accept_degraded: bool = False) -> bool:
    """Whether a record of this status has features to train on."""
    return status == OK or (accept_degraded and status.startswith("degraded:"))


def why_unusable(array: Array) -> str | None:
    """The status of values that must not be stored as features, or None where they are sound.

    A feature is never NaN, Inf (fp16 overflow included) or a row of zeros.
    """
    if array.size == 0:
        return "failed:empty"
    finite = np.isfinite(array)
    if not finite.all():
        return "failed:nonfinite"
    rows = array.reshape(-1, array.shape[-1])
    if not rows.any(axis=1).all():
        return "failed:zero_rows"
    return None
