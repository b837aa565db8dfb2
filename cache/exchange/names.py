"""Clip ids as names of files, of datasets and of tensors, and back.

A clip id is data and may hold slashes, dots and any script; a name holds none of those that a file system
gives a meaning. Knows no format.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from urllib.parse import quote

MOST_NAME = 240  # bytes; file systems take 255, less a suffix
HASHED = "%id-"  # quoting never writes a percent sign and a letter beyond f


def stored_name(clip_id: str) -> str:
    """A clip id as percent-encoded UTF-8, without a slash and without a leading dot."""
    name = quote(clip_id, safe="")
    return "%2E" + name[1:] if name.startswith(".") else name


def file_names(clip_ids: Iterable[str]) -> dict[str, str]:
    """A file name for each clip id, without suffix, for file systems that ignore case too.

    Ids that are too long, or that would clash there, are named by their SHA-256.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for clip_id in clip_ids:
        name = stored_name(clip_id)
        if len(name) > MOST_NAME or name.casefold() in taken:
            name = HASHED + hashlib.sha256(clip_id.encode()).hexdigest()
        taken.add(name.casefold())
        names[clip_id] = name
    return names
