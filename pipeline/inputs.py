"""The digest of exactly what an encoder reads of a clip: what makes a stored feature fresh or stale.

Knows views and clips; decodes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from emo.canonical import Json, canonical_json
from emo.clip import Clip
from emo.config.extract import DEFAULTS, MediaLimits
from emo.digests import StatCache
from emo.records import NO_INPUT
from emo.views import FrameView, TextView, View


def input_digest(
    clip: Clip, needs: Collection[View], files: StatCache, limits: MediaLimits = DEFAULTS
) -> bytes:
    """SHA-256 (32 bytes) over media digest, cut and, for a peak frame, the action-unit file's digest; over
    the text for encoders that read it, and over nothing else where they read only that.

    All zeros where the media cannot or may not be read: there is nothing that could be fresh.
    """
    reads: dict[str, Json] = {}
    if any(isinstance(view, TextView) for view in needs):
        reads["text"] = clip.text
    if all(isinstance(view, TextView) for view in needs):
        return hashlib.sha256(canonical_json(reads)).digest()
    try:
        if clip.path.stat().st_size > limits.most_bytes:
            return NO_INPUT
        reads |= {
            "media": files.sha256(clip.path),
            "start": clip.start,
            "end": clip.end,
            "region": None,
        }
        if clip.au_path is not None and any(
            isinstance(view, FrameView) and view.choice == "peak" for view in needs
        ):
            reads["au"] = files.sha256(clip.au_path)
    except OSError:
        return NO_INPUT
    return hashlib.sha256(canonical_json(reads)).digest()
