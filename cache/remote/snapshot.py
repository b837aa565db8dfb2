"""What a push sends: published snapshots of spaces, each with the folder that it takes at the store.

Decides whether rows can be added to what is there or need a folder of their own, and refuses what must not be
sent. Sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from crc32c import crc32c

from emo.cache import fsops
from emo.cache.canary import read_canary
from emo.cache.format import Document
from emo.cache.index import Index
from emo.cache.publish import enter_as_writer, publish
from emo.cache.remote.layout import RemoteName, snapshot_tag
from emo.cache.space import Space
from emo.cache.state import SpaceState
from emo.errors import CacheError, RightsError
from emo.records import RETRACTED
from emo.spec import FeatureSpec

PICTURES = {
    "raw",
    "frames",
    "faces",
    "crops",
    "pictures",
    "waveform",
}  # kinds of recipes that are no features


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One space as it is sent: its published rows and its place at the store."""

    index: Index
    target: RemoteName


@contextmanager
def held_snapshot(space: Space) -> Iterator[Index]:
    """The published rows of a space, which no compaction moves until the block ends.

    CacheError where clips were retracted that compaction has yet to drop, RightsError where the space holds
    pictures or sound and no features.
    """
    check_features(space.spec)
    descriptor = enter_as_writer(space.paths)
    try:
        publish(space.paths)  # what is acknowledged is sent, and a retraction is known
        space.refresh()
        read_canary(space.paths, space.state)
        state = replace(space.index.state, marks={})  # a store has no journals
        index = Index(space.paths, state, ())
        _check_compact(index)
        yield index
    finally:
        fsops.close(descriptor)


def check_features(spec: FeatureSpec) -> None:
    """RightsError where a recipe says that its arrays are pictures or sound of people, not features."""
    kind = spec.recipe.get("kind")
    if spec.encoder in PICTURES or kind in PICTURES:
        raise RightsError(
            f"{spec.encoder}/{spec.short} holds {kind or spec.encoder}, no features: emo sends no pictures "
            "or sound of people anywhere. Keep such arrays in a cache of their own."
        )


def _check_compact(index: Index) -> None:
    status = index.column("status")
    retracted = sum(1 for _, row in index.live() if status[row] == RETRACTED)
    if retracted:
        raise CacheError(
            f"{index.paths.name} still has the ids of {retracted} clips that were forgotten; they are not "
            "sent anywhere. Run: emo cache gc --compact --yes"
        )


def target_of(index: Index, there: RemoteName | None, state: SpaceState | None) -> RemoteName:
    """Where a space goes: the folder that is there if its rows are the first of these, else a new one."""
    encoder, short = index.paths.encoder, index.paths.short
    if there is None or state is None:
        return RemoteName(encoder, short)
    if extends(index, state):
        return there
    return RemoteName(encoder, short, snapshot_tag(index.state))


def extends(index: Index, state: SpaceState) -> bool:
    """Whether a snapshot has every row of another, in the same place, and rows more at most."""
    mine = index.state
    if (mine.generation, mine.spec.fingerprint) != (state.generation, state.spec.fingerprint):
        return False
    if any(_grid(mine.members[array]) != _grid(state.members[array]) for array in mine.spec.arrays):
        return False
    for column in mine.columns:
        before = state.digests[column.name]
        values: Any = index.column(column.name)[: before.length]
        if len(values) < before.length or crc32c(column.body(values)) != before.crc:
            return False
    return all(mine.digests.get(name) == digest for name, digest in state.digests.items() if "/" in name)


def _grid(member: Document) -> Sequence[object]:
    return [member["chunk_grid"], member["codecs"], member["data_type"]]
