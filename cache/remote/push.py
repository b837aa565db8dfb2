"""Push: send the published rows of a cache to a store; a kill at any instant leaves a whole cache there.

Rows, index, the arrays' zarr.json, the space's, then the root's: as on a disk, what refers comes after what
it refers to. What the root no longer names is removed last; a store that can makes one step of it all.
Every object is checked after it was sent, and one that is there already is not sent again. Never sends media,
ids that were forgotten, or rows of nobody.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from emo.cache import fsops
from emo.cache.format import group, stamped
from emo.cache.index import Index
from emo.cache.paths import METADATA, CachePaths
from emo.cache.remote.card import card
from emo.cache.remote.layout import (
    CARD,
    PUSH,
    RemoteName,
    Root,
    bare,
    canary_chunks,
    objects_of,
    published_chunks,
    read_root,
    shard_name,
    shards_of,
)
from emo.cache.remote.mirror import mirror_index, read_state
from emo.cache.remote.sealed import sealed_shard
from emo.cache.remote.snapshot import Outgoing, held_snapshot, target_of
from emo.cache.remote.store import ChangedMeanwhile, NotThere, Store
from emo.cache.remote.urls import is_remote
from emo.cache.store import FeatureCache, root_group
from emo.canonical import canonical_json, sha256_json
from emo.errors import CacheError, CacheMiss, ConfigError
from emo.rights import DataRights, check_sharing, united

AT_ONCE = 4  # objects of a push in memory and under way
Bytes: TypeAlias = "Callable[[], bytes]"
Object: TypeAlias = "tuple[str, Bytes]"  # a name at the store, and what makes its bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """One object of a push, done: sent, or found there with the same bytes; or removed."""

    name: str
    size: int
    what: str  # "sent", "there" or "removed"
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a push is to do: spaces of the cache, spaces that only the store has, and whose data that is."""

    outgoing: tuple[Outgoing, ...]
    kept: tuple[Index, ...]
    kept_names: tuple[RemoteName, ...]
    data: tuple[DataRights, ...]
    root: Root | None

    @property
    def names(self) -> list[str]:
        """The folders of every space that the new root lists."""
        return sorted([*(one.target.folder for one in self.outgoing), *(n.folder for n in self.kept_names)])

    @property
    def bytes(self) -> int:
        """Bytes of the rows that are sent where nothing is there yet."""
        indexes = [one.index for one in self.outgoing]
        return sum(
            int(index.column(f"{array}_rows").sum()) * index.state.geometry(array).row_bytes
            for index in indexes
            for array in index.state.spec.arrays
        )

    def card(self, where: str) -> str:
        """The data set card of what the store holds afterwards."""
        return card([*(one.index for one in self.outgoing), *self.kept], self.data, where)


class Push:
    """A push of one cache to one store; use it as a context, which keeps the snapshot in place.

    `owner` names the pusher where the cache's own path does not: a push of the same owner that was killed is
    gone on with.

    CacheError where a forgotten clip is not compacted away yet, RightsError where a space holds no features.
    """

    removed = 0  # objects that a run took away

    def __init__(self, cache: FeatureCache, store: Store, *, owner: str = "") -> None:
        if is_remote(cache.where):
            raise ConfigError(f"{cache.where} lies at a store itself. Pull it, and push the copy.")
        self._cache, self._store, self._name = cache, store, owner
        self._held = ExitStack()
        self._leftovers: set[str] = set()
        self.plan: Plan

    def __enter__(self) -> Push:
        try:
            self.plan = self._planned()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def _planned(self) -> Plan:
        try:
            root = read_root(self._store)
        except CacheMiss:
            root = None
        outgoing = []
        for space in self._cache.spaces():
            index = self._held.enter_context(held_snapshot(space))
            there = root.space(space.name) if root else None
            state = read_state(self._store, there, space.paths) if there else None
            outgoing.append(Outgoing(index, target_of(index, there, state)))
        mine = {one.target.name for one in outgoing}
        kept = tuple(name for name in (root.spaces if root else ()) if name.name not in mine)
        folder = CachePaths(
            Path(self._held.enter_context(tempfile.TemporaryDirectory(prefix="emo-push-"))) / "c"
        )
        indexes = tuple(
            mirror_index(self._store, name, folder.space(name.encoder, name.short)) for name in kept
        )
        data = united(self._cache.data, root.data if root else ()) if kept else self._cache.data
        return Plan(tuple(outgoing), indexes, kept, data, root)

    def run(self, *, consent: bool = False, take_over: bool = False) -> Iterator[Sent]:
        """Send everything; yields after each object. Run again after a failure, it goes on.

        RightsError where nobody declared that features of this data may be shared and there is no `consent`.
        ChangedMeanwhile where another push is under way or was killed, unless `take_over`.
        """
        check_sharing(self.plan.data, consent=consent)
        store, plan = self._store, self.plan
        steps = [list(self._rows()), list(self._index()), list(self._metadata())]
        groups = list(self._groups())
        names = {name for step in [*steps, groups] for name, _ in step}
        before = self._stored_before()
        self._leftovers = self._enter(names | before, take_over=take_over)
        done, total = 0, len(names) + 2
        for step in [*steps, groups]:
            for sent in self._send_all(step):
                done += 1
                yield replace(sent, done=done, total=total)
        self._flip()
        yield replace(self._send(CARD, plan.card(store.where).encode), done=done + 1, total=total)
        superseded = self._superseded(names, before | self._leftovers)
        store.delete(superseded)
        store.delete([PUSH])
        store.settle()
        self.removed = len(superseded)
        yield Sent("", 0, "removed", total, total)

    def _rows(self) -> Iterator[Object]:
        for one in self.plan.outgoing:
            for array in one.index.state.spec.arrays:
                for shard in shards_of(one.index, array):
                    name = f"{one.target.folder}/{shard_name(one.index, array, shard)}"
                    yield name, partial(sealed_shard, one.index, array, shard)

    def _index(self) -> Iterator[Object]:
        for one in self.plan.outgoing:
            folder, local = one.target.folder, one.index.paths.folder
            for name, make in published_chunks(one.index):
                yield f"{folder}/{name}", make
            for name in canary_chunks(one.index.state):
                yield f"{folder}/{name}", partial(fsops.read_file, local / name)

    def _metadata(self) -> Iterator[Object]:
        """The zarr.json of arrays and encoders."""
        for encoder in sorted({one.target.encoder for one in self.plan.outgoing}):
            yield f"{encoder}/{METADATA}", partial(stamped, group({"emo:encoder": encoder}))
        for one in self.plan.outgoing:
            state, folder = one.index.state, one.target.folder
            for name, member in state.members.items():
                yield f"{folder}/{name}/{METADATA}", partial(stamped, bare(member))

    def _groups(self) -> Iterator[Object]:
        """The zarr.json of the spaces, each of which is the commit of its space."""
        for one in self.plan.outgoing:
            state, folder = one.index.state, one.target.folder
            yield f"{folder}/{METADATA}", partial(stamped, state.document())

    def _stored_before(self) -> set[str]:
        """Names of the objects of those spaces at the store that are to be replaced by others."""
        found = set()
        folder = CachePaths(
            Path(self._held.enter_context(tempfile.TemporaryDirectory(prefix="emo-push-"))) / "c"
        )
        for there in self.plan.root.spaces if self.plan.root else ():
            if there.folder not in self.plan.names:
                index = mirror_index(self._store, there, folder.space(there.encoder, there.short))
                found |= {f"{there.folder}/{name}" for name in objects_of(index)}
        return found

    def _enter(self, names: set[str], *, take_over: bool) -> set[str]:
        """Say at the store that this cache pushes, and which objects that may leave; those that an unfinished
        push before may have left."""
        store, mine = self._store, self._owner()
        try:
            data, tag = store.get_tagged(PUSH)
        except NotThere:
            store.put_first(PUSH, _intent(mine, names))
            return set()
        owner, left = _read_intent(data)
        if owner != mine and not take_over:
            raise ChangedMeanwhile(
                f"another machine or cache is pushing to {store.where}, or was killed while it did. "
                "Push from there, or, if nobody is, run again with --take-over."
            )
        store.put_over(PUSH, _intent(mine, names | left), tag)
        return left

    def _owner(self) -> str:
        """The same for each push of this cache: its lock file keeps two of them apart."""
        paths = CachePaths(self._cache.path)
        fsops.make_folder(paths.aside)
        descriptor = fsops.open_lock(paths.aside / "push.lock")
        self._held.callback(fsops.close, descriptor)
        if not fsops.flock(descriptor, wait=False):
            raise CacheError(f"a push of {paths.root} is under way. Try again when it is done.")
        return sha256_json([platform.node(), self._name or os.fspath(paths.root.resolve())])[:16]

    def _may_be_there(self, name: str) -> bool:
        """Whether anything put this object there before: a push to a new folder asks the store nothing."""
        listed = self.plan.root.spaces if self.plan.root else ()
        encoders = {f"{there.encoder}/{METADATA}" for there in listed}
        folders = tuple(f"{there.folder}/" for there in listed)
        return name in self._leftovers or name in encoders or name == CARD or name.startswith(folders)

    def _send_all(self, objects: Sequence[Object]) -> Iterator[Sent]:
        """Send what does not refer to one another; shards a few at a time, for each is in memory."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for first in range(0, len(objects), AT_ONCE):
                yield from pool.map(lambda one: self._send(*one), objects[first : first + AT_ONCE])

    def _send(self, name: str, make: Bytes) -> Sent:
        data = make()
        if self._may_be_there(name) and self._store.holds(name, data):
            return Sent(name, len(data), "there")
        self._store.put(name, data)
        return Sent(name, len(data), "sent")

    def _flip(self) -> None:
        """Replace the root: from here on readers that open the cache see what was sent."""
        data, root = stamped(root_group(self.plan.names, self.plan.data)), self.plan.root
        if root is None:
            self._store.put_first(METADATA, data)
        elif not self._store.holds(METADATA, data):
            self._store.put_over(METADATA, data, root.tag)

    def _superseded(self, names: set[str], may_be: set[str]) -> list[str]:
        """Objects that no snapshot needs: those of older ones, of killed pushes, and what a listing has more
        in the folders of the spaces."""
        stays = {METADATA, *names}
        for name, index in zip(self.plan.kept_names, self.plan.kept, strict=True):
            stays |= {f"{name.folder}/{each}" for each in objects_of(index)} | {f"{name.encoder}/{METADATA}"}
        encoders = {name.partition("/")[0] for name in stays if "/" in name}
        every = may_be | set(self._store.listed())
        return sorted(name for name in every - stays if name.partition("/")[0] in encoders)


def _intent(owner: str, names: set[str]) -> bytes:
    return canonical_json({"owner": owner, "objects": sorted(names)})


def _read_intent(data: bytes) -> tuple[str, set[str]]:
    """Who pushed and what it may have left; nothing where the note is not one of ours."""
    try:
        found = json.loads(data)
        return str(found["owner"]), {str(name) for name in found["objects"]}
    except (ValueError, KeyError, TypeError):
        return "", set()
