"""gc: what a cache holds that nothing needs, and its removal.

Removes half-made things of killed processes, journals that the index knows, shards without a record, and with
`compact` the rows that were replaced or retracted. Never a current record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emo.cache import fsops
from emo.cache.compact import compact, live_rows
from emo.cache.index import load_index
from emo.cache.journal import SUFFIX, journals, read_tail
from emo.cache.leftovers import clear_leftovers
from emo.cache.paths import CachePaths, SpacePaths
from emo.cache.publish import publish, publish_lock
from emo.cache.shards import clear_empty_shards
from emo.cache.state import load_state
from emo.cache.store import FeatureCache, spaces_lock
from emo.records import RETRACTED


@dataclass(frozen=True, slots=True)
class Garbage:
    """One thing that nothing needs: a file or folder, or a number of index rows of a space."""

    what: str
    path: Path
    rows: int = 0


def collect(cache: FeatureCache, *, remove: bool = False, compact_too: bool = False) -> Iterator[Garbage]:
    """Name the garbage, and remove it where `remove` says so.

    CacheError where a space that is to be compacted is being written to.
    """
    paths = CachePaths(cache.path)
    with spaces_lock(paths):
        for path in clear_leftovers(paths.aside, remove=remove):
            yield Garbage("leftover", path)
    for space in cache.spaces():
        yield from _of_space(space.paths, remove=remove)
        if compact_too:
            yield from _rows(paths, space.paths, remove=remove)
        space.refresh()


def _of_space(paths: SpacePaths, *, remove: bool) -> Iterator[Garbage]:
    with publish_lock(paths):
        for path in clear_leftovers(paths.aside, remove=remove):
            yield Garbage("leftover", path)
        for path in _consumed(paths):
            yield Garbage("journal", path)
        state = load_state(paths)
        for array in state.spec.arrays:
            for path in clear_empty_shards(paths, state, array, remove=remove):
                yield Garbage("shard", path)
    if remove:
        publish(paths)


def _rows(cache: CachePaths, paths: SpacePaths, *, remove: bool) -> Iterator[Garbage]:
    index = load_index(paths)
    dropped = len(index) - len(live_rows(index))
    if dropped:
        yield Garbage("rows", paths.folder, dropped)
    if remove:
        status = index.column("status")
        forgotten = any(status[row] == RETRACTED for _, row in index.live())
        compact(paths)
        if forgotten:
            _forget_media_names(cache)


def _forget_media_names(cache: CachePaths) -> None:
    """Remove what is remembered of media files beside the spaces: their names may be those of clips."""
    for name in fsops.names_in(cache.aside):
        if name.endswith(SUFFIX):
            fsops.unlink(cache.aside / name)


def _consumed(paths: SpacePaths) -> list[Path]:
    """Journals whose writer is gone and whose every line the index knows: the next publish deletes them."""
    state = load_state(paths)
    found = []
    for path in journals(paths):
        descriptor = fsops.open_update(path)
        mark = state.marks.get(path.name)
        if (
            mark is not None
            and fsops.flock(descriptor, wait=False)
            and not read_tail(path, state.spec.fingerprint, mark)[0]
        ):
            found.append(path)
        fsops.close(descriptor)
    return found
