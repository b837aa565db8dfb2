"""The digest of exactly what an encoder reads of a clip: what makes a stored feature fresh or stale.

Knows views and clips; decodes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from emo.canonical import Json, canonical_json
from emo.clip import Clip
from emo.digests import StatCache
from emo.extractors.augment import plain
from emo.extractors.sampling import expressive
from emo.records import NO_INPUT
from emo.views import FacesView, FrameView, View


def input_digest(clip: Clip, needs: Collection[View], files: StatCache) -> bytes:
    """SHA-256 (32 bytes) over media digest, cut, person and, where frames are chosen by it, the action-unit
    file's digest.

    All zeros where the media cannot be read: there is nothing that could be fresh.
    """
    needs = {plain(view) for view in needs}
    try:
        reads: dict[str, Json] = {
            "media": files.sha256(clip.path),
            "start": clip.start,
            "end": clip.end,
            "region": None if clip.person is None or not _shows(needs) else f"#{clip.person}",
        }
        if clip.au_path is not None and any(_reads_units(view) for view in needs):
            reads["au"] = files.sha256(clip.au_path)
    except OSError:
        return NO_INPUT
    return hashlib.sha256(canonical_json(reads)).digest()


def _shows(needs: Collection[View]) -> bool:
    """Whether a view depends on whose face is looked at."""
    return any(
        isinstance(view, FacesView) or (isinstance(view, FrameView) and view.choice == "peak")
        for view in needs
    )


def _reads_units(view: View) -> bool:
    if isinstance(view, FacesView):
        return expressive(view.sampling)
    return isinstance(view, FrameView) and view.choice == "peak"
