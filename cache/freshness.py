"""Freshness: which of the wanted clips a space has yet to get.

A record serves only the input that it was made of. Knows nothing of how inputs are hashed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emo.cache.index import Index
from emo.records import usable

TO_REDO = "failed:damaged"  # of a record whose bytes were lost: no result of the encoder's


class Compared(NamedTuple):
    """A wanted clip that has a record, and whether that was made of the wanted input."""

    clip_id: str
    status: str
    reason: str
    same_input: bool


def compared(index: Index, wanted: Mapping[str, bytes]) -> list[Compared]:
    """The clips of `wanted` (clip id to the digest of its input) that have a record, in their order."""
    known, rows, same_input = _known(index, wanted)
    columns = (index.column("status")[rows], index.column("reason")[rows], same_input.tolist())
    return list(map(Compared, known, *columns))


def missing_clips(
    index: Index, wanted: Mapping[str, bytes], arrays: Sequence[str], *, retry_failed: bool
) -> list[str]:
    """The clips of `wanted` (clip id to the digest of its input) that no current record serves.

    A record serves that has rows for each of `arrays` (none named: for any), or whose status says that there
    is nothing to encode.
    """
    known, rows, same_input = _known(index, wanted)
    counts = [index.column(f"{array}_rows")[rows] > 0 for array in arrays or index.state.spec.arrays]
    has_rows = np.all(counts, axis=0) if arrays else np.any(counts, axis=0)
    columns = (index.column("status")[rows], same_input.tolist(), has_rows.tolist())
    served = {
        clip_id
        for clip_id, status, same, has in zip(known, *columns, strict=True)
        if same and serves(status, has, retry_failed=retry_failed)
    }
    return [clip_id for clip_id in wanted if clip_id not in served]


def _known(
    index: Index, wanted: Mapping[str, bytes]
) -> tuple[list[str], NDArray[np.int64], NDArray[np.bool_]]:
    """Those of `wanted` that have a record, its row, and whether it was made of the same input."""
    known = [clip_id for clip_id in wanted if clip_id in index.current]
    rows = np.array([index.current[clip_id] for clip_id in known], np.int64)
    digests = np.frombuffer(b"".join(wanted[clip_id] for clip_id in known), np.uint8).reshape(-1, 32)
    return known, rows, (index.column("input_sha256")[rows] == digests).all(axis=1)


def serves(status: str, has_rows: bool, *, retry_failed: bool) -> bool:
    """Whether a record of the wanted input leaves nothing to encode: it has rows, or none can be had."""
    if usable(status, accept_degraded=True):
        return has_rows
    return status != TO_REDO and not (retry_failed and status.startswith("failed:"))
