"""Features of a stage: where batches come from. Held in memory where they fit, else read batch by batch, in
the background where it is known what comes next.

Reads cached tensors through emo.heads.loader and never makes one: no encoder is imported here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import prod
from typing import TYPE_CHECKING, Protocol

import torch

from emo.errors import CacheMiss, ConfigError
from emo.heads.batches import FeatureBatch, Source
from emo.heads.loader import features_present, load_features, row_shapes
from emo.heads.pooling import bins_of
from emo.heads.projectors import slot_source

if TYPE_CHECKING:
    from emo.heads.loader import FeatureSpace

FLOAT_BYTES = 4


class Features(Protocol):
    """Anything that gives the features of clips by id."""

    @property
    def sources(self) -> Mapping[str, Source]:
        """The recipe and the array behind each feature; empty for features made by hand."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each feature for one clip: (D,) or (N, D)."""

    def present(self, clip_ids: Sequence[str]) -> Mapping[str, Sequence[bool]]:
        """Which of these clips have each feature; reads no tensor."""

    def read(self, clip_ids: Sequence[str]) -> FeatureBatch:
        """Features of these clips, in their order."""

    def expect(self, clip_ids: Sequence[str]) -> None:
        """Say that `read` will be asked for these clips next, after those said before."""

    def forget(self) -> None:
        """Take back what was said with `expect`."""


class HeldFeatures:
    """All features of a run in memory: a batch is an index away."""

    def __init__(self, batch: FeatureBatch) -> None:
        self._batch = batch
        self._rows = {clip_id: row for row, clip_id in enumerate(batch.clip_ids)}

    @property
    def sources(self) -> Mapping[str, Source]:
        """Those of the batch."""
        return self._batch.sources

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Those of the batch."""
        return {name: tuple(value.shape[1:]) for name, value in self._batch.values.items()}

    def present(self, clip_ids: Sequence[str]) -> Mapping[str, Sequence[bool]]:
        """The masks; CacheMiss for a clip that is not among those held."""
        rows = self._places(clip_ids)
        return {name: mask[rows].tolist() for name, mask in self._batch.masks.items()}

    def read(self, clip_ids: Sequence[str]) -> FeatureBatch:
        """CacheMiss for a clip that is not among those held."""
        return self._batch.take(self._places(clip_ids))

    def expect(self, clip_ids: Sequence[str]) -> None:
        """Nothing: they are in memory."""

    def forget(self) -> None:
        """Nothing."""

    def _places(self, clip_ids: Sequence[str]) -> list[int]:
        if missing := [clip_id for clip_id in clip_ids if clip_id not in self._rows]:
            raise CacheMiss(
                f"{len(missing)} clips are not held, the first is {missing[0]!r}. Run: emo extract"
            )
        return [self._rows[clip_id] for clip_id in clip_ids]


class CachedFeatures:
    """Features read from spaces of the cache when a batch asks for them, or before that after `expect`.

    One thread reads ahead, in the order of what is expected; a failure of its comes out of `read`. Where
    the process uses a GPU, what was read ahead lies in page-locked memory.
    """

    def __init__(
        self, spaces: Mapping[str, FeatureSpace], arrays: Mapping[str, str], *, missing_ok: bool = False
    ) -> None:
        self._spaces, self._arrays, self._missing_ok = spaces, arrays, missing_ok
        self._reader: ThreadPoolExecutor | None = None
        self._expected: deque[tuple[tuple[str, ...], Future[FeatureBatch]]] = deque()

    @property
    def sources(self) -> Mapping[str, Source]:
        """From the spaces' specs."""
        return {name: Source(space.spec, self._arrays[name]) for name, space in self._spaces.items()}

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """From the spaces' specs."""
        return row_shapes(self._spaces, self._arrays)

    def present(self, clip_ids: Sequence[str]) -> Mapping[str, Sequence[bool]]:
        """From the records' entries; CacheMiss as `read`."""
        found = features_present(self._spaces, clip_ids, missing_ok=self._missing_ok)
        return {name: there.tolist() for name, there in found.items()}

    def read(self, clip_ids: Sequence[str]) -> FeatureBatch:
        """CacheMiss for a clip that was never extracted, unless that is allowed."""
        if self._expected and self._expected[0][0] == tuple(clip_ids):
            return self._expected.popleft()[1].result()
        if self._reader is not None:  # one reader at a time, whoever asks
            return self._reader.submit(self._load, clip_ids).result()
        return self._load(clip_ids)

    def expect(self, clip_ids: Sequence[str]) -> None:
        """Read them in the background; they wait in memory until `read` asks for them."""
        if self._reader is None:
            self._reader = ThreadPoolExecutor(1, thread_name_prefix="features")
        self._expected.append((tuple(clip_ids), self._reader.submit(self._load_ahead, clip_ids)))

    def forget(self) -> None:
        """Drop what was read ahead and end the thread; `expect` starts another."""
        if self._reader is not None:
            self._reader.shutdown(wait=True, cancel_futures=True)
        self._reader = None
        self._expected.clear()

    def _load(self, clip_ids: Sequence[str]) -> FeatureBatch:
        return load_features(self._spaces, clip_ids, self._arrays, missing_ok=self._missing_ok)

    def _load_ahead(self, clip_ids: Sequence[str]) -> FeatureBatch:
        batch = self._load(clip_ids)
        return batch.pin_memory() if torch.cuda.is_initialized() else batch  # type: ignore[no-untyped-call]


def slot_arrays(features: Sequence[str], pooled: Mapping[str, str] | None = None) -> dict[str, str]:
    """The array that fills the slots of each feature; `pooled` replaces some, as "frames:mean+std".

    ConfigError for frames in bins: a slot has no mask for those that a short clip lacks.
    """
    for name, array in (pooled or {}).items():
        if bins_of(array.partition(":")[2]):
            raise ConfigError(
                f"{name} as {array}: only heads read frames in bins. Pool it, as frames:mean+std."
            )
    return {name: slot_source(f"{name}_patches" if name == "eva" else name)[1] for name in features} | {
        name: array for name, array in (pooled or {}).items() if name in features
    }


def open_features(
    spaces: Mapping[str, FeatureSpace],
    clip_ids: Sequence[str],
    arrays: Mapping[str, str],
    *,
    memory: int = 2 << 30,
    missing_ok: bool = False,
) -> Features:
    """Features of `clip_ids`: held where they take at most `memory` bytes, else read when asked for."""
    cached = CachedFeatures(spaces, arrays, missing_ok=missing_ok)
    probe = cached.read(list(clip_ids[:1]))
    per_clip = sum(prod(value.shape[1:]) for value in probe.values.values()) * FLOAT_BYTES
    return HeldFeatures(cached.read(clip_ids)) if per_clip * len(clip_ids) <= memory else cached
