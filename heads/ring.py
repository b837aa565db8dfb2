"""One cached array as padded tensors: all of some clips, or batch by batch out of the cache's own ring.

A batch is a view of the bytes that the cache read, in the dtype that it stores. Knows nothing of labels, of
other features of a clip, or of pooling: for those there is `emo.heads.loader`.

Axes: B batch, T frames, N tokens, D feature dim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from emo.cache.batches import BATCH, BUFFERS, Batch, Batches
from emo.errors import ConfigError
from emo.spec import ArrayLayout, FeatureSpec


@dataclass(frozen=True, slots=True)
class PaddedBatch:
    """`values` as stored: frames (B, T, D), tokens (B, N, D) or utterance (B, D).

    `mask`, bool of (B, T), (B, N) or (B,), is True where they are data; frames after a clip's last are zeros.
    """

    clip_ids: tuple[str, ...]
    values: Tensor
    mask: Tensor

    def pin_memory(self) -> PaddedBatch:
        """A copy in page-locked memory; what a DataLoader with `pin_memory=True` calls."""
        return PaddedBatch(self.clip_ids, self.values.pin_memory(), self.mask.pin_memory())


class HasBatches(Protocol):
    """What is asked of a space of the cache; `emo.cache.Space` is one."""

    @property
    def spec(self) -> FeatureSpec:
        """The recipe of every feature in the space."""

    def batches(self, ids: Sequence[str], array: str, *, size: int = BATCH) -> Batches:
        """The clips in batches of `size`, padded."""


class RingDataset(IterableDataset[PaddedBatch]):
    """Batches of one array in the order of `clip_ids`, which a thread reads ahead into `buffers` buffers.

    A batch lies in its buffer until the next is asked for; `.clone()` what is to last. The thread is there
    only while it is iterated, so each epoch starts one. In a `DataLoader` give `batch_size=None` and leave
    `num_workers` at 0: the thread is the worker. CacheMiss where a clip has no such array.
    """

    def __init__(
        self,
        space: HasBatches,
        clip_ids: Sequence[str],
        array: str,
        *,
        size: int = BATCH,
        buffers: int = BUFFERS,
    ) -> None:
        self._batches = space.batches(clip_ids, array, size=size)
        self._layout = space.spec.arrays[array]
        self._buffers, self._count = buffers, -(-len(clip_ids) // size)

    def __len__(self) -> int:
        """How many batches."""
        return self._count

    def __iter__(self) -> Iterator[PaddedBatch]:
        if get_worker_info() is not None:
            raise ConfigError("the ring reads in a thread of its own. Give the DataLoader num_workers=0.")
        with closing(self._batches.ahead(self._buffers)) as batches:
            for batch in batches:
                yield _padded(batch, self._layout)


def to_torch(space: HasBatches, array: str, clip_ids: Sequence[str]) -> PaddedBatch:
    """One array of all these clips, padded to the longest, in memory of its own. CacheMiss where a clip has
    none, ConfigError where no clip is named.

    >>> space = emo.open("features.zarr")["hubert"]
    >>> batch = emo.to_torch(space, "frames", ["clip1", "clip8"])
    >>> batch.values.shape, batch.mask.sum(1)  # (B, T, D), as stored; rows that are data
    (torch.Size([2, 26, 96]), tensor([18, 26]))
    """
    if not clip_ids:
        raise ConfigError("no clip is named.")
    (batch,) = space.batches(clip_ids, array, size=len(clip_ids)).here()
    return _padded(batch, space.spec.arrays[array])


def _padded(batch: Batch, layout: ArrayLayout) -> PaddedBatch:
    framed = layout.kind == "frames"
    mask = torch.from_numpy(batch.mask) if framed else torch.ones(batch.values.shape[:-1], dtype=torch.bool)
    if layout.dtype != "bfloat16":
        return PaddedBatch(tuple(batch.ids), torch.from_numpy(batch.values), mask)
    bits = torch.from_numpy(batch.values.view(np.int16))  # as the cache stores bfloat16
    return PaddedBatch(tuple(batch.ids), bits.view(torch.bfloat16), mask)
