"""Verify: read every byte of a cache that something owns, and name what is not as it was written.

Owned are the bytes of current records, index arrays, journals, canaries and every zarr.json. Rows of a
shard that no record names, or only a replaced one, have no owner. A subset leaves out the rows of other clips
and nothing else. Repairs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emo.cache import fsops
from emo.cache.canary import FOLDER as CANARY
from emo.cache.canary import read_canary
from emo.cache.damage import DamagedFile
from emo.cache.erasure import beside, traces, unerased
from emo.cache.format import CHUNK_ROWS, check_format
from emo.cache.index import Index, load_index
from emo.cache.journal import Mark, journals, read_tail
from emo.cache.paths import METADATA, CachePaths, SpacePaths
from emo.cache.reader import ArrayReader
from emo.cache.remote.urls import is_remote, parse_url
from emo.cache.rows import Place
from emo.cache.state import SpaceState, check_member, load_state, read_metadata
from emo.cache.store import refuse_no_cache
from emo.cache.subset import Subset
from emo.clip import normal_id
from emo.errors import CacheMiss, ConfigError
from emo.records import RETRACTED

BATCH = 32


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: a sound `record`, `bad` bytes, or an `orphan` that nothing owns; or a record that
    was left `unread`.

    `clip_id` is empty where the bytes belong to no single clip.
    """

    kind: Literal["record", "bad", "orphan", "unread"]
    encoder: str
    file: str
    problem: str = ""
    clip_id: str = ""


@dataclass(slots=True)
class Verification:
    """What `verify_cache` found: the number of sound records, what is bad, what nothing owns, and how many
    records were not read."""

    records: int = 0
    unread: int = 0
    bad: list[Check] = field(default_factory=list)
    orphans: list[Check] = field(default_factory=list)

    def add(self, check: Check) -> None:
        """Count one check."""
        if check.kind == "record":
            self.records += 1
        elif check.kind == "unread":
            self.unread += 1
        else:
            (self.bad if check.kind == "bad" else self.orphans).append(check)

    @property
    def share(self) -> float:
        """The share of the current records that was read."""
        read = self.records + len({(check.encoder, check.clip_id) for check in self.bad if check.clip_id})
        return read / (read + self.unread) if self.unread else 1.0

    def to_json(self) -> dict[str, Any]:
        """`records`, `share` (of the records that was read), `bad` (clip_id, encoder, file, problem) and
        `orphans` (files)."""
        keys = ("clip_id", "encoder", "file", "problem")
        return {
            "records": self.records,
            "share": round(self.share, 6),
            "bad": [{key: getattr(check, key) for key in keys} for check in self.bad],
            "orphans": [check.file for check in self.orphans],
        }


def verify_cache(
    path: str | os.PathLike[str], gone: Sequence[str] = (), subset: Subset | None = None
) -> Verification:
    """Read everything in the cache at `path`, of the rows only those of a `subset`; CacheMiss where there is
    none, FormatError where there is something else.

    Nothing may be left of the clips in `gone`: what is counts as bad.
    """
    found = Verification()
    for check in checks(path, gone, subset):
        found.add(check)
    return found


def checks(
    path: str | os.PathLike[str], gone: Sequence[str] = (), subset: Subset | None = None
) -> Iterator[Check]:
    """`verify_cache` one check at a time, for those who draw progress."""
    if is_remote(os.fspath(path)):
        raise ConfigError(
            f"{parse_url(os.fspath(path)).url} is a remote cache: its records are checked whenever they are "
            "read. `emo cache pull` checks all of them."
        )
    paths = CachePaths.at(path)
    if not paths.root.is_dir():
        raise CacheMiss(
            f"there is no feature cache at {paths.root}. Name the folder that emo extract --cache wrote."
        )
    refuse_no_cache(paths)
    names, problems = _space_names(paths)
    yield from problems
    gone = [normal_id(clip_id) for clip_id in gone]
    if gone:
        yield from (_bad_check("", error) for error in beside(paths, gone))
    for encoder in sorted({name.partition("/")[0] for name in names}):
        yield from _bad(encoder, _check_encoder, paths, encoder)
    for name in sorted(names):
        encoder, _, short = name.partition("/")
        yield from _SpaceCheck(paths.space(encoder, short), gone, subset).run()


def _space_names(paths: CachePaths) -> tuple[set[str], list[Check]]:
    """The spaces that the root lists or the disk has, and what is wrong with the root."""
    listed: list[str] = []

    def read_root() -> None:
        attributes = read_metadata(paths.metadata)["attributes"]
        check_format(attributes, paths.root)
        listed.extend(attributes["spaces"])

    problems = list(_bad("", read_root))
    encoders = [name for name in fsops.names_in(paths.root) if (paths.root / name).is_dir()]
    on_disk = [f"{e}/{short}" for e in encoders for short in _folders(paths.root / e)]
    return {*listed, *on_disk}, problems


def _folders(path: Path) -> list[str]:
    return [name for name in fsops.names_in(path) if (path / name).is_dir()]


def _check_encoder(paths: CachePaths, encoder: str) -> None:
    path = paths.root / encoder / METADATA
    named = read_metadata(path)["attributes"].get("emo:encoder")
    if named != encoder:
        raise DamagedFile(path, f"it is of the encoder {named!r}: a folder was renamed or swapped.")


def _bad(encoder: str, look: Callable[..., object], *arguments: Any) -> Iterator[Check]:
    """What `look` finds damaged, as a check."""
    try:
        look(*arguments)
    except DamagedFile as error:
        yield _bad_check(encoder, error)


def _bad_check(encoder: str, error: DamagedFile, clip_id: str = "") -> Check:
    return Check("bad", encoder, str(error.path), error.problem, clip_id)


class _SpaceCheck:
    """All checks of one space."""

    def __init__(self, paths: SpacePaths, gone: Sequence[str], subset: Subset | None) -> None:
        self._paths, self._encoder, self._gone, self._subset = paths, paths.encoder, gone, subset

    def run(self) -> Iterator[Check]:
        """Metadata, canary, journals, index, then every record, then what nothing owns."""
        try:
            state = load_state(self._paths)
        except DamagedFile as error:
            yield _bad_check(self._encoder, error)
            return
        for name in state.members:
            yield from self._look(check_member, self._paths, state, name)
        yield from self._look(read_canary, self._paths, state)
        yield from self._journals(state)
        index = self._index(state)
        damaged = yield from self._columns(index)
        if not damaged:
            yield from self._records(index)
            yield from self._forgotten(index)
            yield from self._strangers(index)

    def _look(self, look: Callable[..., object], *arguments: Any) -> Iterator[Check]:
        return _bad(self._encoder, look, *arguments)

    def _journals(self, state: SpaceState) -> Iterator[Check]:
        for path in journals(self._paths):
            yield from self._look(read_tail, path, state.spec.fingerprint, Mark())

    def _columns(self, index: Index) -> Generator[Check, None, bool]:
        """Checks of the index arrays; returns whether any could not be read."""
        damaged = False
        for column in index.state.columns:
            for check in self._look(index.column, column.name):
                damaged = True
                yield check
        return damaged

    def _index(self, state: SpaceState) -> Index:
        try:
            return load_index(self._paths)
        except DamagedFile:  # a journal, which has been checked already
            return Index(self._paths, state, [])

    def _records(self, index: Index) -> Iterator[Check]:
        """Checks of every row's bytes. Those of forgotten clips are gone, those of replaced records are
        nobody's any more: damage there is told but is no damage to the cache."""
        spec, status = index.state.spec, index.column("status")
        readers = {name: ArrayReader(self._paths, name, index.state.geometry(name)) for name in spec.arrays}
        rows = [row for row in range(len(index)) if status[index.current[index.ids[row]]] != RETRACTED]
        current = set(index.current.values())
        if self._subset is not None:
            broken = _in_broken_shards(index, readers)
            chosen = [row for row in rows if broken[row] or index.ids[row] in self._subset]
            for row in sorted(current.intersection(rows).difference(chosen)):
                yield Check("unread", self._encoder, "", clip_id=index.ids[row])
            rows = chosen
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            bad = set()
            for name, reader in readers.items():
                for row, error in _unsound(reader, name, index, batch):
                    bad.add(row)
                    if row in current:
                        yield _bad_check(self._encoder, error, index.ids[row])
                    else:
                        problem = f"{error.problem} The record was replaced."
                        yield Check("orphan", self._encoder, str(error.path), problem, index.ids[row])
            for row in batch:
                if row not in bad and row in current:
                    yield Check("record", self._encoder, "", clip_id=index.ids[row])

    def _forgotten(self, index: Index) -> Iterator[Check]:
        """Bytes of retracted records, and whatever is left of clips of which nothing may be."""
        for error in unerased(index):
            yield _bad_check(self._encoder, error)
        if self._gone:
            for error in traces(index, self._gone):
                yield _bad_check(self._encoder, error)

    def _strangers(self, index: Index) -> Iterator[Check]:
        """Shards without a record, which a writer may yet adopt, and files that are not of the format."""
        owned = {METADATA, *(f"{name}/{METADATA}" for name in index.state.members)}
        for column in index.state.columns:
            chunks = -(-index.state.digests[column.name].length // CHUNK_ROWS)
            owned |= {_chunk_name(column.name, column.key(chunk)) for chunk in range(chunks)}
        for name in index.state.spec.arrays:
            geometry = index.state.geometry(name)
            starts = index.column(f"{name}_start")[index.column(f"{name}_rows") > 0]
            used = np.unique(starts // geometry.shard_rows).tolist()
            owned |= {_chunk_name(name, geometry.shard_key(shard)) for shard in used}
        for key, member in index.state.members.items():
            if key.startswith(f"{CANARY}/"):
                owned.add(_chunk_name(key, (0,) * len(member["shape"])))
        for path in sorted(self._paths.folder.rglob("*")):
            if path.is_file() and path.relative_to(self._paths.folder).as_posix() not in owned:
                yield Check("orphan", self._encoder, str(path), "no record or index names it")


def _chunk_name(array: str, key: tuple[int, ...]) -> str:
    return "/".join([array, "c", *map(str, key)])


def _in_broken_shards(index: Index, readers: Mapping[str, ArrayReader]) -> NDArray[np.bool_]:
    """For each index row, whether a shard that it names is missing or has no sound index."""
    found = np.zeros(len(index), bool)
    for name, reader in readers.items():
        has_rows = index.column(f"{name}_rows") > 0
        shard = index.column(f"{name}_start") // reader.geometry.shard_rows
        broken = [number for number in np.unique(shard[has_rows]).tolist() if not reader.is_sound(number)]
        found |= has_rows & np.isin(shard, broken)
    return found


def _unsound(
    reader: ArrayReader, array: str, index: Index, rows: Sequence[int]
) -> Iterator[tuple[int, DamagedFile]]:
    """The rows whose bytes in one array are not those that were written."""
    placed = [(row, place) for row, place in zip(rows, index.places(array, rows), strict=True) if place.rows]
    if _unsound_place(reader, array, [place for _, place in placed]) is None:
        return
    for row, place in placed:
        if error := _unsound_place(reader, array, [place]):
            yield row, error


def _unsound_place(reader: ArrayReader, array: str, places: Sequence[Place]) -> DamagedFile | None:
    geometry = reader.geometry
    outs = [np.empty((place.rows, *geometry.row_shape), geometry.dtype) for place in places]
    try:
        wrong = reader.read(places, outs)
    except DamagedFile as error:
        return error
    if wrong is None:
        return None
    first, last = places[wrong].start, places[wrong].start + places[wrong].rows - 1
    return DamagedFile(
        reader.path_of(places[wrong]), f"rows {first} to {last} of {array} do not match their checksum."
    )
