"""Cached arrays to torch: the one place where features leave the cache for training.

Knows what it asks of a feature space and nothing of encoders, labels or files. Whole sets of utterance-level
features fit memory and are loaded at once; token sets too large for that go through `FeatureDataset`, and
single arrays of any length through `emo.heads.ring`.

Axes: B batch, T feature frames, N tokens, D feature dim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from emo.errors import CacheMiss, ConfigError
from emo.heads.batches import FeatureBatch, Source
from emo.heads.pooling import bins_of, pool
from emo.records import Array, usable
from emo.spec import FeatureSpec

CHUNK_CLIPS = 256  # frame-level arrays held at once while they are pooled


class HasStatus(Protocol):
    """What the loader asks of a record's entry."""

    @property
    def status(self) -> str:
        """`ok`, `degraded:<why>`, `missing:<why>`, `failed:<why>` or `retracted`."""


class FeatureSpace(Protocol):
    """What the loader asks of a space of the cache; `emo.cache.Space` is one."""

    @property
    def spec(self) -> FeatureSpec:
        """The recipe of every feature in the space."""

    def info(self, clip_id: str) -> HasStatus | None:
        """The record's entry; None where the clip was never extracted."""

    def read_many(self, clip_ids: Sequence[str], array: str) -> Sequence[Array]:
        """One array of each clip."""


def load_features(
    spaces: Mapping[str, FeatureSpace],
    clip_ids: Sequence[str],
    arrays: Mapping[str, str],
    *,
    accept_degraded: bool = False,
    missing_ok: bool = False,
) -> FeatureBatch:
    """Features of the clips, in their order: (B, D) for utterance-level and pooled, (B, N, D) for tokens.

    `arrays[name]` is an array of the space ("utterance", "tokens"), or one with a pooling of its rows
    ("frames:mean+std", "frames:bins16"); "utterance" where `arrays` does not say. A clip whose record has
    no usable features gets mask False. A clip that was never extracted is a CacheMiss, or mask False too
    where `missing_ok`.
    ConfigError for an array the space lacks or that must be pooled first.
    """
    values: dict[str, Tensor] = {}
    masks: dict[str, Tensor] = {}
    sources: dict[str, Source] = {}
    lengths: dict[str, Tensor] = {}
    for name, space in spaces.items():
        array = arrays.get(name, "utterance")
        present = _present(name, space, clip_ids, accept_degraded, missing_ok)
        rows, counts = _values(name, space, clip_ids, present, array)
        values[name] = torch.from_numpy(rows)
        if bins_of(array.partition(":")[2]):
            lengths[name] = torch.from_numpy(counts)
        masks[name] = torch.from_numpy(present)
        sources[name] = Source(space.spec, array)
    return FeatureBatch(tuple(clip_ids), values, masks, sources, lengths)


def features_present(
    spaces: Mapping[str, FeatureSpace],
    clip_ids: Sequence[str],
    *,
    accept_degraded: bool = False,
    missing_ok: bool = False,
) -> dict[str, NDArray[np.bool_]]:
    """Which of the clips have each feature, (B,) by name; reads no array. CacheMiss as `load_features`."""
    return {
        name: _present(name, space, clip_ids, accept_degraded, missing_ok) for name, space in spaces.items()
    }


def row_shapes(spaces: Mapping[str, FeatureSpace], arrays: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Shape of each feature for one clip, (D,) or (N, D); reads no array. ConfigError as `load_features`."""
    shapes = {}
    for name, space in spaces.items():
        stored, _, pooling = arrays.get(name, "utterance").partition(":")
        shapes[name] = _row_shape(name, space.spec, stored, pooling)
    return shapes


def _present(
    name: str, space: FeatureSpace, clip_ids: Sequence[str], accept_degraded: bool, missing_ok: bool
) -> NDArray[np.bool_]:
    infos = [space.info(clip_id) for clip_id in clip_ids]
    never = [clip_id for clip_id, info in zip(clip_ids, infos, strict=True) if info is None]
    if never and not missing_ok:
        raise CacheMiss(
            f"{name} has no features for {len(never)} of {len(clip_ids)} clips, the first is {never[0]!r}. "
            f"Run: emo extract --encoder {space.spec.encoder}"
        )
    return np.array(
        [info is not None and usable(info.status, accept_degraded=accept_degraded) for info in infos],
        dtype=np.bool_,
    )


def _values(
    name: str, space: FeatureSpace, clip_ids: Sequence[str], present: NDArray[np.bool_], array: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(B, ...) float32, and how many rows of each clip are there, (B,).

    What is absent is NaN, so that a reader of it is found out.
    """
    stored, _, pooling = array.partition(":")
    shape = _row_shape(name, space.spec, stored, pooling)
    values = np.full((len(clip_ids), *shape), np.nan, dtype=np.float32)
    counts = np.zeros(len(clip_ids), dtype=np.int64)
    rows = np.flatnonzero(present)
    for start in range(0, len(rows), CHUNK_CLIPS):
        chunk = rows[start : start + CHUNK_CLIPS]
        read = space.read_many([clip_ids[row] for row in chunk], stored)
        for row, one in zip(chunk, read, strict=True):
            pooled = pool(one, pooling) if pooling else one
            counts[row] = len(pooled)
            if bins_of(pooling):
                values[row, : len(pooled)] = pooled
            else:
                values[row] = pooled
    return values, counts


def _row_shape(name: str, spec: FeatureSpec, stored: str, pooling: str) -> tuple[int, ...]:
    layout = spec.arrays.get(stored)
    if layout is None:
        raise ConfigError(f"{name} stores {', '.join(spec.arrays)}, not {stored!r}. Name one of those.")
    if bins := bins_of(pooling):
        return (bins, layout.dim)
    if pooling:
        return (layout.dim * len(pooling.split("+")),)
    if layout.kind == "frames":
        raise ConfigError(
            f"{name}: {stored} differ in length from clip to clip. Name a pooling, such as "
            f"{stored}:mean+std, or {stored}:bins16 for a head that reads frames."
        )
    return (layout.tokens, layout.dim) if layout.kind == "tokens" else (layout.dim,)


class FeatureDataset(Dataset[FeatureBatch]):
    """Clips of some spaces as a torch Dataset whose batches are FeatureBatches read when asked for.

    A `DataLoader` fetches a whole batch in one call; give it `collate_fn=as_is` and, for a GPU,
    `pin_memory=True`.
    """

    def __init__(
        self,
        spaces: Mapping[str, FeatureSpace],
        clip_ids: Sequence[str],
        arrays: Mapping[str, str],
        *,
        accept_degraded: bool = False,
        missing_ok: bool = False,
    ) -> None:
        self.clip_ids = tuple(clip_ids)
        self._spaces, self._arrays = spaces, arrays
        self._accept_degraded, self._missing_ok = accept_degraded, missing_ok

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __getitem__(self, row: int) -> FeatureBatch:
        return self.__getitems__([row])

    def __getitems__(self, rows: Sequence[int]) -> FeatureBatch:
        return load_features(
            self._spaces,
            [self.clip_ids[row] for row in rows],
            self._arrays,
            accept_degraded=self._accept_degraded,
            missing_ok=self._missing_ok,
        )


def as_is(batch: FeatureBatch) -> FeatureBatch:
    """The collate function of a DataLoader over FeatureDataset: the batch is one already."""
    return batch
