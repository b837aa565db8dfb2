"""What a remote cache is called and which objects it has, from its metadata alone.

A space lies at `<encoder>/<fingerprint>`, or, once its rows have got other numbers, at
`<encoder>/<fingerprint>.<snapshot>`: rows of one folder are only ever added to, so a reader of an older
snapshot stays right, and the root's zarr.json says which folder counts. Asks no store for a listing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emo.cache.canary import FOLDER as CANARY
from emo.cache.columns import Column, encode_chunk
from emo.cache.damage import DamagedFile
from emo.cache.format import CHUNK_ROWS, Document, check_format, checked
from emo.cache.index import Index
from emo.cache.paths import METADATA
from emo.cache.remote.store import NotThere, Store, Tag
from emo.cache.state import NAME, SpaceState
from emo.cache.store import rights_in
from emo.canonical import sha256_json
from emo.errors import CacheMiss
from emo.rights import DataRights

PUSH = ".journal/push.json"  # who pushes, and every object that an unfinished push may have left
CARD = ".README.md"


@dataclass(frozen=True, slots=True)
class RemoteName:
    """A space as the root lists it. `snapshot` is empty until the space was compacted."""

    encoder: str
    short: str
    snapshot: str = ""

    @classmethod
    def parse(cls, listed: str, where: str) -> RemoteName:
        """The space that the root lists; DamagedCache where no push writes such a name."""
        encoder, _, rest = listed.partition("/")
        short, _, snapshot = rest.partition(".")
        if not all(map(NAME.fullmatch, (encoder, short))) or (snapshot and not NAME.fullmatch(snapshot)):
            raise DamagedFile(Path(where) / METADATA, f"it lists a space outside of the cache: {listed!r}.")
        return cls(encoder, short, snapshot)

    @property
    def name(self) -> str:
        """`<encoder>/<short fingerprint>`, as a local cache has it."""
        return f"{self.encoder}/{self.short}"

    @property
    def folder(self) -> str:
        """Where the space lies below the root."""
        return f"{self.name}.{self.snapshot}" if self.snapshot else self.name


@dataclass(frozen=True, slots=True)
class Root:
    """The root's zarr.json at a store: the spaces that count, and whose data they are of."""

    spaces: tuple[RemoteName, ...]
    data: tuple[DataRights, ...]
    tag: Tag

    def space(self, name: str) -> RemoteName | None:
        """The space of this local name, or None."""
        return next((space for space in self.spaces if space.name == name), None)

    def only(self, spaces: Sequence[RemoteName]) -> Root:
        """The root of a cache with some of the spaces."""
        return replace(self, spaces=tuple(spaces))


def read_root(store: Store) -> Root:
    """The root of the cache at a store; CacheMiss where there is none, DamagedCache where it is not sound."""
    try:
        data, tag = store.get_tagged(METADATA)
    except NotThere:
        raise CacheMiss(f"there is no feature cache at {store.where}.") from None
    path = Path(store.where) / METADATA
    document = checked(data, path)
    check_format(document["attributes"], Path(store.where))
    spaces = tuple(RemoteName.parse(str(name), store.where) for name in document["attributes"]["spaces"])
    return Root(spaces, rights_in(document, path), tag)


def bare(member: Document) -> Document:
    """The zarr.json of a member by itself, from what the space's group says of it."""
    return {name: value for name, value in member.items() if name != "consolidated_metadata"}


def index_chunks(state: SpaceState) -> Iterator[str]:
    """Names of the index arrays' chunks, below the space's folder."""
    for column in state.columns:
        for chunk in range(-(-state.digests[column.name].length // CHUNK_ROWS)):
            yield chunk_name(column.name, column.key(chunk))


def published_chunks(index: Index) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Each chunk of the index arrays and what makes its bytes: the published values, however many more rows a
    writer adds meanwhile."""
    for column in index.state.columns:
        for chunk, start in enumerate(range(0, index.state.digests[column.name].length, CHUNK_ROWS)):
            yield chunk_name(column.name, column.key(chunk)), partial(_encoded, index, column, start)


def _encoded(index: Index, column: Column, start: int) -> bytes:
    values: Any = index.column(column.name)[start : start + CHUNK_ROWS]
    return encode_chunk(column, column.body(values), len(values))


def canary_chunks(state: SpaceState) -> Iterator[str]:
    """Names of the canary's chunks, below the space's folder."""
    for name, member in state.members.items():
        if name.startswith(f"{CANARY}/"):
            yield chunk_name(name, (0,) * len(member["shape"]))


def shards_of(index: Index, array: str) -> list[int]:
    """Numbers of the shards that hold rows of any index row."""
    starts = index.column(f"{array}_start")[index.column(f"{array}_rows") > 0]
    return [int(shard) for shard in np.unique(starts // index.state.geometry(array).shard_rows)]


def shard_name(index: Index, array: str, shard: int) -> str:
    """Name of a shard below the space's folder."""
    return chunk_name(array, index.state.geometry(array).shard_key(shard))


def chunk_name(array: str, key: tuple[int, ...]) -> str:
    """Name of a chunk below the space's folder."""
    return "/".join([array, "c", *map(str, key)])


def objects_of(index: Index) -> list[str]:
    """Names of every object of a space below its folder, its own zarr.json last."""
    state = index.state
    shards = [
        shard_name(index, array, shard) for array in state.spec.arrays for shard in shards_of(index, array)
    ]
    members = [f"{name}/{METADATA}" for name in state.members]
    return [*shards, *index_chunks(state), *canary_chunks(state), *members, METADATA]


def snapshot_tag(state: SpaceState) -> str:
    """A name for one snapshot of a space: the same for the same records in the same places."""
    digests = {name: [digest.length, digest.crc] for name, digest in state.digests.items()}
    return sha256_json([state.generation, digests])[:8]
