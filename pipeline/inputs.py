"""The digest of exactly what an encoder reads of a clip: what makes a stored feature fresh or stale.

Knows views and clips; decodes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.canonical import Json, canonical_json
from emo.clip import Clip
from emo.config.extract import DEFAULTS, MediaLimits
from emo.digests import StatCache
from emo.extractors.augment import plain
from emo.extractors.sampling import expressive
from emo.records import NO_INPUT
from emo.views import FacesView, FrameView, MomentView, Plain, TextView, View


@dataclass(frozen=True, slots=True)
class _Reads:
    """Which parts of a clip some views depend on."""

    media: bool
    text: bool
    units: bool
    pictures: bool
    person: bool
    aligned: bool

    @classmethod
    def of(cls, needs: Collection[View]) -> _Reads:
        views = [plain(view) for view in needs]
        return cls(
            media=any(not isinstance(view, TextView) for view in views),
            text=any(isinstance(view, TextView) for view in views),
            units=any(_is_peak(view) or _is_expressive(view) for view in views),
            pictures=any(isinstance(view, FrameView | MomentView) or _is_cut_out(view) for view in views),
            person=any(_is_peak(view) or _is_cut_out(view) for view in views),
            aligned=any(isinstance(view, FacesView) and not _is_cut_out(view) for view in views),
        )

    def files(self, clip: Clip) -> Iterator[tuple[str, Path]]:
        """The files of `clip` that are read, by what they are."""
        if self.media:
            yield "media", clip.path
        if self.units and clip.au_path is not None:
            yield "au", clip.au_path
        if self.aligned and clip.faces_path is not None:
            yield "faces", clip.faces_path


def _is_peak(view: Plain) -> bool:
    return isinstance(view, FrameView) and view.choice == "peak"


def _is_cut_out(view: Plain) -> bool:
    return isinstance(view, FacesView) and view.alignment == "box"


def _is_expressive(view: Plain) -> bool:
    return isinstance(view, FacesView) and expressive(view.sampling)


def words_alone(text: str) -> bytes:
    """The digest of what an encoder read that reads nothing of a clip but its words."""
    return hashlib.sha256(canonical_json({"text": text})).digest()


class InputDigests:
    """Digests of what encoders read of some clips. However many clips cut a file, and however many encoders
    read it, it is looked at once."""

    def __init__(self, clips: Sequence[Clip], files: StatCache, limits: MediaLimits = DEFAULTS) -> None:
        self._clips, self._files, self._limits = clips, files, limits
        self._seen: dict[str, str | None] = {}
        self._made: dict[_Reads, dict[str, bytes]] = {}

    def of(self, needs: Collection[View]) -> dict[str, bytes]:
        """SHA-256 (32 bytes) by clip id over the parts of the clip that `needs` depend on: media digest and
        cut, the region and the person, the text, the digests of the action-unit file where frames are chosen
        by it and of the aligned faces where they are looked at.

        All zeros where the media cannot or may not be read: there is nothing that could be fresh.
        """
        reads = _Reads.of(needs)
        if reads not in self._made:
            self._made[reads] = {clip.clip_id: self._digest(clip, reads) for clip in self._clips}
        return self._made[reads]

    def _digest(self, clip: Clip, reads: _Reads) -> bytes:
        parts: dict[str, Json] = {"text": clip.text} if reads.text else {}
        if reads.media:
            half = clip.region if reads.pictures else None
            who = f"#{clip.person}" if reads.person and clip.person is not None else None
            parts |= {"start": clip.start, "end": clip.end, "region": f"{half or ''}{who or ''}" or None}
        for name, path in reads.files(clip):
            digest = parts[name] = self._file(path)
            if digest is None:
                return NO_INPUT
        return hashlib.sha256(canonical_json(parts)).digest()

    def _file(self, path: Path) -> str | None:
        name = os.fspath(path)
        if name not in self._seen:
            try:
                too_large = path.stat().st_size > self._limits.most_bytes
                self._seen[name] = None if too_large else self._files.sha256(path)
            except OSError:
                self._seen[name] = None
        return self._seen[name]
