"""Features of a stage: where batches come from. Held in memory where they fit, else read batch by batch.

Reads cached tensors through emo.heads.loader and never makes one: no encoder is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Protocol

from emo.errors import CacheMiss
from emo.heads.batches import FeatureBatch, Source
from emo.heads.loader import load_features
from emo.heads.projectors import slot_source

if TYPE_CHECKING:
    from emo.heads.loader import FeatureSpace

FLOAT_BYTES = 4


class Features(Protocol):
    """Anything that gives the features of clips by id."""

    @property
    def sources(self) -> Mapping[str, Source]:
        """The recipe and the array behind each feature; empty for features made by hand."""

    def read(self, clip_ids: Sequence[str]) -> FeatureBatch:
        """Features of these clips, in their order."""


class HeldFeatures:
    """All features of a run in memory: a batch is an index away."""

    def __init__(self, batch: FeatureBatch) -> None:
        self._batch = batch
        self._rows = {clip_id: row for row, clip_id in enumerate(batch.clip_ids)}

    @property
    def sources(self) -> Mapping[str, Source]:
        """Those of the batch."""
        return self._batch.sources

    def read(self, clip_ids: Sequence[str]) -> FeatureBatch:
        """CacheMiss for a clip that is not among those held."""
        if missing := [clip_id for clip_id in clip_ids if clip_id not in self._rows]:
            raise CacheMiss(
                f"{len(missing)} clips are not held, the first is {missing[0]!r}. Run: emo extract"
            )
        return self._batch.take([self._rows[clip_id] for clip_id in clip_ids])


class CachedFeatures:
    """Features read from spaces of the cache whenever a batch asks for them."""

    def __init__(
        self, spaces: Mapping[str, FeatureSpace], arrays: Mapping[str, str], *, missing_ok: bool = False
    ) -> None:
        self._spaces, self._arrays, self._missing_ok = spaces, arrays, missing_ok

    @property
    def sources(self) -> Mapping[str, Source]:
        """From the spaces' specs."""
        return {name: Source(space.spec, self._arrays[name]) for name, space in self._spaces.items()}

    def read(self, clip_ids: Sequence[str]) -> FeatureBatch:
        """CacheMiss for a clip that was never extracted, unless that is allowed."""
        return load_features(self._spaces, clip_ids, self._arrays, missing_ok=self._missing_ok)


def slot_arrays(features: Sequence[str], pooled: Mapping[str, str] | None = None) -> dict[str, str]:
    """The array that fills the slots of each feature; `pooled` replaces some, as "frames:mean+std"."""
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
