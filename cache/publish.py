"""Publish: fold the tails of the journals into the index, in an order that a kill cannot tear.

Data, index chunks, the arrays' zarr.json, then the space's zarr.json by rename. Until that rename readers
see the old snapshot; after it, the new one. The cost follows what is new, not what is there. Knows nothing
of how records were written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from emo.cache import fsops
from emo.cache.columns import Column, append_values
from emo.cache.format import stamped
from emo.cache.journal import Mark, journals, read_tail
from emo.cache.leftovers import clear_leftovers
from emo.cache.paths import METADATA, SpacePaths
from emo.cache.rows import NOWHERE, Row
from emo.cache.state import SpaceState, grown, load_state, write_state
from emo.errors import CacheError
from emo.records import OK, RETRACTED

_PLACE_FIELD = {"start": "start", "rows": "rows", "crc32c": "crc"}


@contextmanager
def publish_lock(paths: SpacePaths) -> Iterator[None]:
    """Hold the space's publish lock: while it is held no index row appears and no journal goes."""
    fsops.make_folder(paths.aside)
    descriptor = fsops.open_lock(paths.publish_lock)
    try:
        fsops.flock(descriptor, wait=True)
        yield
    finally:
        fsops.close(descriptor)


def enter_as_writer(paths: SpacePaths) -> int:
    """Descriptor that keeps compaction away until it is closed. Waits for one that is under way."""
    fsops.make_folder(paths.aside)
    descriptor = fsops.open_lock(paths.writers_lock)
    fsops.flock(descriptor, wait=True, shared=True)
    return descriptor


@contextmanager
def without_writers(paths: SpacePaths) -> Iterator[None]:
    """Keep writers away; CacheError where one is at work."""
    fsops.make_folder(paths.aside)
    descriptor = fsops.open_lock(paths.writers_lock)
    try:
        if not fsops.flock(descriptor, wait=False):
            raise CacheError(f"a process is writing to {paths.name}. Try again when it is done.")
        yield
    finally:
        fsops.close(descriptor)


def read_tails(paths: SpacePaths, state: SpaceState) -> tuple[list[Row], dict[str, Mark]]:
    """The records that journals know and the index does not, in index order, and the marks after them.

    Where writers disagree on a clip within one publish, `ok` wins over other statuses and `retracted`
    over all; the last row of a clip is the current one.
    """
    by_journal: list[list[Row]] = []
    marks: dict[str, Mark] = {}
    for path in journals(paths):
        mark = state.marks.get(path.name, Mark())
        rows, marks[path.name] = read_tail(path, state.spec.fingerprint, mark)
        by_journal.append(rows)
    return _in_index_order(by_journal), marks


def _in_index_order(by_journal: Sequence[Sequence[Row]]) -> list[Row]:
    writers: dict[str, set[int]] = {}
    for number, rows in enumerate(by_journal):
        for row in rows:
            writers.setdefault(row.clip_id, set()).add(number)

    def rank(row: Row) -> int:
        if row.status == RETRACTED:
            return 2
        return 1 if row.status == OK or len(writers[row.clip_id]) == 1 else 0

    return sorted((row for rows in by_journal for row in rows), key=rank)


def publish(paths: SpacePaths, *, durable: bool = True) -> bool:
    """Fold in what journals hold; True where that made a new snapshot.

    DamagedCache names a journal or an index chunk that is not what was written; nothing changes then.
    """
    with publish_lock(paths):
        clear_leftovers(paths.aside)
        state = load_state(paths)
        rows, marks = read_tails(paths, state)
        if rows:
            if durable:
                _sync_data(paths, state, rows)
            state = _extended(paths, replace(state, marks=marks), rows, durable=durable)
            write_state(paths, state, durable=durable)
        _drop_consumed(paths, state.spec.fingerprint, marks)
    return bool(rows)


def _extended(paths: SpacePaths, state: SpaceState, rows: Sequence[Row], *, durable: bool) -> SpaceState:
    digests = {
        column.name: append_values(
            paths, column, state.digests[column.name], column_values(column, rows), durable=durable
        )
        for column in state.columns
    }
    lengths = {name: digest.length for name, digest in digests.items()}
    digests = {**state.digests, **digests}  # those of the canary stay
    for array in state.spec.arrays:
        places = [row.places.get(array, NOWHERE) for row in rows]
        lengths[array] = max(place.start + place.rows for place in places)
    state = grown(replace(state, digests=digests), lengths)
    for name in lengths:
        path = paths.folder / name / METADATA
        fsops.replace_file(path, stamped(state.members[name]), paths.scratch("array"), durable=durable)
        if durable:
            fsops.sync_folder(path.parent)
    return state


def column_values(column: Column, rows: Sequence[Row]) -> Any:
    """What these records have in one index array: (rows,) or, for a digest, (rows, bytes)."""
    if column.name == "input_sha256":
        return np.frombuffer(b"".join(row.input_sha256 for row in rows), np.uint8).reshape(-1, 32)
    if column.dtype is None:
        return [getattr(row, column.name) for row in rows]
    array, _, what = column.name.rpartition("_")
    return [getattr(row.places.get(array, NOWHERE), _PLACE_FIELD[what]) for row in rows]


def _sync_data(paths: SpacePaths, state: SpaceState, rows: Sequence[Row]) -> None:
    for array in state.spec.arrays:
        geometry = state.geometry(array)
        places = [row.places[array] for row in rows if array in row.places]
        for shard in sorted({place.start // geometry.shard_rows for place in places}):
            descriptor = fsops.open_update(paths.chunk(array, geometry.shard_key(shard)))
            try:
                fsops.fdatasync(descriptor)
            finally:
                fsops.close(descriptor)


def _drop_consumed(paths: SpacePaths, fingerprint: str, marks: Mapping[str, Mark]) -> None:
    """Delete the journals whose writers are gone and of whose lines the index knows every one."""
    for name, mark in marks.items():
        path = paths.aside / name
        try:
            descriptor = fsops.open_update(path)
        except FileNotFoundError:
            continue
        try:
            # looked at again under its lock: the writer may have added lines before it went
            if fsops.flock(descriptor, wait=False) and not read_tail(path, fingerprint, mark)[0]:
                fsops.unlink(path)
        finally:
            fsops.close(descriptor)
