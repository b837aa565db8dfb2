"""Leftovers: files and folders that a killed process was making when it went.

Half-made things lie beside the hierarchy under names that end in `.new`. Those with a name of their own are
locked by their maker, all others are only made under the lock of their folder. Knows nothing of what is in
them.
"""

from __future__ import annotations

from pathlib import Path

from emo.cache import fsops
from emo.cache.paths import HALF_MADE


def clear_leftovers(folder: Path, *, remove: bool = True) -> list[Path]:
    """Remove what lies half-made in the folder and has no owner, or only name it.

    The caller holds the folder's lock.
    """
    named = [folder / name for name in fsops.names_in(folder) if name.endswith(HALF_MADE)]
    return [path for path in named if _cleared(path, remove=remove)]


def _cleared(path: Path, *, remove: bool) -> bool:
    if path.is_dir():
        if remove:
            fsops.remove_tree(path)
        return True
    try:
        descriptor = fsops.open_update(path)
    except FileNotFoundError:
        return False  # finished and renamed just now
    try:
        free = fsops.flock(descriptor, wait=False)
        if free and remove:
            fsops.unlink(path)  # under its lock: a maker that waits for it sees that the name is gone
        return free
    finally:
        fsops.close(descriptor)
