"""Settings of media reading. Knows no room's code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaLimits:
    """What a media file may claim in its header before any of it is decoded.

    `most_faces` bounds a view of all faces, the one view that grows with the clip.
    """

    most_pixels: int = 64_000_000
    most_seconds: float = 1800.0
    most_bytes: int = 4 << 30
    most_frames_per_second: float = 240.0
    most_faces: int = 4500


DEFAULTS = MediaLimits()
