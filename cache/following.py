"""Following: an old snapshot's reader goes on, right, after the space was compacted.

Bytes that are not what a snapshot says are damage only where the space is still of the snapshot's generation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from emo.cache.damage import DamagedFile, SnapshotGone
from emo.cache.state import load_state

if TYPE_CHECKING:
    from emo.cache.space import Space

P = ParamSpec("P")
T = TypeVar("T")


def following(method: Callable[Concatenate[Space, P], T]) -> Callable[Concatenate[Space, P], T]:
    """A method that starts again, on a new snapshot, where a compaction took the old one from under it."""

    @wraps(method)
    def follow(self: Space, /, *args: P.args, **settings: P.kwargs) -> T:
        while True:
            before = self.state
            try:
                return method(self, *args, **settings)
            except (DamagedFile, SnapshotGone):
                if load_state(self.paths).generation == before.generation:
                    raise
                if self.state is before:
                    self.refresh()

    return follow
