"""Reading in place: a remote cache opens as a FeatureCache, and a clip's rows are one ranged GET.

Metadata and index are mirrored when a space is first asked for; the rows' offsets follow from them. It is a
snapshot: what is pushed later shows when it is opened again. Writes nothing but a temporary folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

from emo.cache.access import Access
from emo.cache.damage import DamagedFile
from emo.cache.geometry import Geometry
from emo.cache.paths import CachePaths, SpacePaths
from emo.cache.remote.layout import RemoteName, Root, chunk_name, read_root
from emo.cache.remote.mirror import commit_root, commit_space, mirror_index, vanished
from emo.cache.remote.store import NotThere, Store, StoreError, open_store
from emo.cache.rows import Place
from emo.cache.space import Space
from emo.cache.store import FeatureCache
from emo.config.cache import Check
from emo.config.remote import DEFAULTS
from emo.errors import DamagedCache

TURNS = 3  # of reading rows that do not match, and of opening a space that a push moves


def open_remote(url: str, access: Access) -> FeatureCache:
    """The cache at a URL, to read. CacheMiss where there is none, MissingDependency without the extra."""
    store = open_store(url)
    folder = tempfile.TemporaryDirectory(prefix="emo-remote-", ignore_cleanup_errors=True)
    paths = CachePaths(Path(folder.name) / "cache.zarr")
    root = read_root(store)
    commit_root(paths, root)
    return RemoteCache(paths, access, store, root, folder)


class RemoteCache(FeatureCache):
    """A cache whose rows lie at a store. Its folder goes when nothing that was opened from it is left."""

    def __init__(
        self,
        paths: CachePaths,
        access: Access,
        store: Store,
        root: Root,
        folder: tempfile.TemporaryDirectory[str],
    ) -> None:
        self._store, self._root, self._folder = store, root, folder
        super().__init__(paths, access)

    @property
    def where(self) -> str:
        """The cache's URL."""
        return self._store.where

    def _space(self, name: str) -> Space:
        if name not in self._spaces:
            encoder, _, short = name.partition("/")
            paths = self._paths.space(encoder, short)
            remote = self._mirrored(paths)
            readers = RemoteReaders(self._store.snapshot, remote.folder, self._folder)
            self._spaces[name] = Space(paths, self._access, readers)
        return self._spaces[name]

    def _mirrored(self, paths: SpacePaths) -> RemoteName:
        """Mirror a space; where a push moves it meanwhile, from its new place."""
        for turn in range(TURNS):
            remote = self._root.space(paths.name)
            if remote is None:
                break
            try:
                commit_space(mirror_index(self._store, remote, paths))
            except NotThere as error:
                if turn == TURNS - 1:
                    raise StoreError(vanished(self._store, error)) from None
                self._root = read_root(self._store)
            else:
                return remote
        raise StoreError(f"{self.where} has no space {paths.name} any more. Open it again.")


class RemoteReaders:
    """Makes the readers of one remote space; another process that gets it connects for itself."""

    def __init__(self, url: str, folder: str, holds: tempfile.TemporaryDirectory[str] | None = None) -> None:
        self._url, self._folder = url, folder
        self._holds = holds  # the mirror, for as long as anything reads by it

    def __call__(self, paths: SpacePaths, array: str, geometry: Geometry, check: Check, /) -> RemoteReader:
        """A reader of one array; rows from a store are always checked."""
        return RemoteReader(self.store, f"{self._folder}/", array, geometry)

    @cached_property
    def store(self) -> Store:
        """The connection."""
        return open_store(self._url)

    def __reduce__(self) -> tuple[type[RemoteReaders], tuple[str, str]]:
        return RemoteReaders, (self._url, self._folder)


class RemoteReader:
    """Reads rows of one data array from the shards at a store. Safe to use from threads."""

    def __init__(self, store: Store, begin: str, array: str, geometry: Geometry) -> None:
        self._store, self._begin, self._array, self.geometry = store, begin, array, geometry

    def read(self, places: Sequence[Place], outs: Sequence[NDArray[Any]]) -> int | None:
        """Fill `outs` with the rows as stored, one ranged GET a place, several at once.

        The number of the first place whose bytes are not those that were written, or None. StoreError where
        the store does not give them.
        """
        if len(places) == 1:
            sound = [self._fetch(places[0], outs[0])]
        else:
            with ThreadPoolExecutor(DEFAULTS.at_once) as pool:
                sound = list(pool.map(self._fetch, places, outs))
        return next((number for number, fits in enumerate(sound) if not fits), None)

    def view(self, place: Place) -> None:
        """None: rows at a store cannot be had without a copy."""

    def damage(self, place: Place, what: str) -> DamagedCache:
        """`what` at this place is not as it was pushed."""
        again = "Open it again; if that is no cure, push the cache again from a sound copy."
        return DamagedFile(Path(self._name(place)), f"{what} {self._store.where} holds other bytes. {again}")

    def _fetch(self, place: Place, out: NDArray[Any]) -> bool:
        row = place.start % self.geometry.shard_rows
        length = place.rows * self.geometry.row_bytes
        for _ in range(TURNS):
            try:
                data = self._store.get_range(self._name(place), row * self.geometry.row_bytes, length)
            except NotThere as error:
                raise StoreError(vanished(self._store, error)) from None
            if crc32c(data) == place.crc:
                out[:] = np.frombuffer(data, self.geometry.dtype).reshape(out.shape)
                return True
        return False

    def _name(self, place: Place) -> str:
        shard = place.start // self.geometry.shard_rows
        return self._begin + chunk_name(self._array, self.geometry.shard_key(shard))
