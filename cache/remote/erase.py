"""Erase: forget clips in a remote cache, and prove that neither their bytes nor their ids are left there.

Works on the copy at the store alone: spaces that know a clip are fetched, forgotten and compacted here, and
take the place of the old ones, whose objects are removed. A kill in between leaves the old cache or the new
one, and running it again finishes. Old versions that a store keeps aside are beyond its reach.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from emo.cache.forget import forget
from emo.cache.gc import collect
from emo.cache.index import Index
from emo.cache.paths import CachePaths
from emo.cache.remote.layout import RemoteName, Root, read_root
from emo.cache.remote.mirror import mirror_index
from emo.cache.remote.pull import Pull
from emo.cache.remote.push import Push, Sent
from emo.cache.remote.store import Store
from emo.cache.store import open_cache
from emo.clip import normal_id
from emo.errors import CacheError


@dataclass(frozen=True, slots=True)
class Erasure:
    """Clips that a remote cache knows, by the folder of the space."""

    known: dict[str, list[str]]


def known_there(store: Store, clip_ids: Collection[str]) -> Erasure:
    """Which of these clips stand in the index of which remote space."""
    with tempfile.TemporaryDirectory(prefix="emo-erase-") as folder:
        return Erasure(_known(store, read_root(store), Path(folder), clip_ids))


def erase_there(store: Store, clip_ids: Collection[str], *, take_over: bool = False) -> Iterator[Sent]:
    """Forget these clips at the store; yields as a push does. Sends nothing that was not there.

    CacheError where an id still stands in an index afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="emo-erase-") as folder:
        root = read_root(store)
        known = _known(store, root, Path(folder) / "index", clip_ids)
        names = [name.name for name in root.spaces if name.folder in known]
        copy = Path(folder) / "copy.zarr"
        if names:
            for _ in Pull(store, copy).run(names):
                pass
            forget(open_cache(copy, "a"), clip_ids)
            list(collect(open_cache(copy, "a"), remove=True, compact_too=True))
        else:
            open_cache(copy, "a")  # nothing to replace, but what a killed push left is removed
        with Push(open_cache(copy), store, owner="erase") as pushed:
            yield from pushed.run(consent=True, take_over=take_over)
        left = _known(store, read_root(store), Path(folder) / "after", clip_ids)
    if left:
        raise CacheError(f"{store.where} still knows clips that were to be forgotten, in {sorted(left)}.")


def _known(store: Store, root: Root, folder: Path, clip_ids: Collection[str]) -> dict[str, list[str]]:
    wanted = {normal_id(clip_id) for clip_id in clip_ids}
    found = {name.folder: sorted(wanted & set(_index(store, name, folder).ids)) for name in root.spaces}
    return {name: ids for name, ids in found.items() if ids}


def _index(store: Store, name: RemoteName, folder: Path) -> Index:
    return mirror_index(store, name, CachePaths(folder).space(name.encoder, name.short))
