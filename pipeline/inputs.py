"""The digest of exactly what an encoder reads of a clip: what makes a stored feature fresh or stale.

Knows views and clips; decodes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from emo.canonical import Json, canonical_json
from emo.clip import Clip
from emo.digests import StatCache
from emo.records import NO_INPUT
from emo.views import FrameView, View


class InputDigests:
    """Digests of what encoders read of some clips. However many clips cut a file, and however many encoders
    read it, it is looked at once."""

    def __init__(self, clips: Sequence[Clip], files: StatCache) -> None:
        self._clips, self._files = clips, files
        self._seen: dict[str, str | None] = {}
        self._made: dict[bool, dict[str, bytes]] = {}

    def of(self, needs: Collection[View]) -> dict[str, bytes]:
        """SHA-256 (32 bytes) by clip id, over media digest, cut and, for a peak frame, the action-unit
        file's digest.

        All zeros where the media cannot be read: there is nothing that could be fresh.
        """
        units = any(isinstance(view, FrameView) and view.choice == "peak" for view in needs)
        if units not in self._made:
            self._made[units] = {clip.clip_id: self._digest(clip, units) for clip in self._clips}
        return self._made[units]

    def _digest(self, clip: Clip, units: bool) -> bytes:
        reads: dict[str, Json] = {
            "media": self._file(clip.path),
            "start": clip.start,
            "end": clip.end,
            "region": None,
        }
        if units and clip.au_path is not None:
            reads["au"] = self._file(clip.au_path)
        if reads["media"] is None or reads.get("au", "") is None:
            return NO_INPUT
        return hashlib.sha256(canonical_json(reads)).digest()

    def _file(self, path: Path) -> str | None:
        name = os.fspath(path)
        if name not in self._seen:
            try:
                self._seen[name] = self._files.sha256(path)
            except OSError:
                self._seen[name] = None
        return self._seen[name]
