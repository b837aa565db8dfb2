"""How much of an extraction is done, by seconds of media: what makes a time left that can be believed.

A clip that is a cut is as long as its cut says. Of the others only the size of the file is known beforehand;
seconds a byte are learned from the clips that were read. Opens no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from emo.clip import Clip


class MediaDone:
    """The share of the media that is done. `encoders` is how many have to see each clip, by clip id."""

    def __init__(self, clips: Iterable[Clip], encoders: Mapping[str, int]) -> None:
        self._left_seconds: dict[str, float] = {}
        self._left_bytes: dict[str, int] = {}
        for clip in clips:
            times = encoders.get(clip.clip_id, 0)
            if times and clip.end is not None:
                self._left_seconds[clip.clip_id] = times * (clip.end - (clip.start or 0.0))
            elif times:
                self._left_bytes[clip.clip_id] = times * _size(clip)
        self._cuts_left, self._bytes_left = sum(self._left_seconds.values()), sum(self._left_bytes.values())
        self._done = 0.0
        self._learned_seconds, self._learned_bytes = 0.0, 0

    def after(self, clip_id: str, seconds: float | None) -> float | None:
        """The share, 0 to 1, once a clip of so many seconds is done; None where no length was seen yet."""
        if clip_id in self._left_seconds:
            length = self._left_seconds.pop(clip_id)
            self._cuts_left -= length
            self._done += length
        elif clip_id in self._left_bytes:
            size = self._left_bytes.pop(clip_id)
            self._bytes_left -= size
            if seconds is not None:
                self._learned_bytes += size
                self._learned_seconds += seconds
                self._done += seconds
        return self._share()

    def _share(self) -> float | None:
        if self._bytes_left and not self._learned_bytes:
            return None
        rate = self._learned_seconds / self._learned_bytes if self._learned_bytes else 0.0
        left = self._cuts_left + rate * self._bytes_left
        return self._done / (self._done + left) if self._done + left > 0 else None


def _size(clip: Clip) -> int:
    try:
        return clip.path.stat().st_size
    except OSError:
        return 0
