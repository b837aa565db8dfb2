"""Arrays to Zarr and back: format 1, its commit protocol, the fast read path, verify, import and export.

    cache = open_cache("features.zarr", "a")
    with cache.create(spec).writer() as sink:
        sink.put(record)
    cache["hubert"]["clip1"].values

`docs/cache-format.md` is what is on disk. Knows nothing of encoders, media or torch.
"""

from __future__ import annotations

from emo.cache.feature import Feature, RecordInfo
from emo.cache.sharing import Elsewhere, SharedWork, Turn, Wanted
from emo.cache.space import Space
from emo.cache.store import FeatureCache, open_cache
from emo.cache.verify import Verification, verify_cache
from emo.cache.writer import SpaceWriter

__all__ = [
    "Elsewhere",
    "Feature",
    "FeatureCache",
    "RecordInfo",
    "SharedWork",
    "Space",
    "SpaceWriter",
    "Turn",
    "Verification",
    "Wanted",
    "open_cache",
    "verify_cache",
]
