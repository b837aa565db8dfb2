"""What strangers may ask of the page and of `emo predict --serve`. Knows no room's code."""

from __future__ import annotations

from dataclasses import dataclass

from emo.config.extract import MediaLimits


@dataclass(frozen=True, kw_only=True, slots=True)
class AppLimits:
    """Limits of one server: the same for the page and the HTTP API.

    An upload has at most `most_bytes`, `most_seconds` of media and `most_pixels` a picture; `most_letters` is
    for what is said in a clip, and for a question. One job runs at a time, for at most `job_seconds`, and
    `queue` others wait. Files and what is remembered of a clip are gone after `keep_seconds` at the latest. A
    request's head has to be there after `head_seconds` and its body after `body_seconds`.
    """

    most_bytes: int = 100_000_000
    most_seconds: float = 60.0
    most_pixels: int = 64_000_000
    most_letters: int = 1000
    queue: int = 16
    job_seconds: float = 120.0
    keep_seconds: float = 600.0
    head_seconds: float = 10.0
    body_seconds: float = 60.0

    def media(self) -> MediaLimits:
        """What a file may claim, and what decoding it may cost."""
        return MediaLimits(
            most_pixels=self.most_pixels,
            most_seconds=self.most_seconds,
            most_bytes=self.most_bytes,
            most_cpu_seconds=int(self.job_seconds),
            most_wall_seconds=self.job_seconds,
        )

    def sentence(self) -> str:
        """The limits of an upload in words."""
        return (
            f"At most {self.most_bytes / 1e6:.0f} MB, {self.most_seconds:.0f} s and "
            f"{self.most_pixels / 1e6:.0f} million pixels a picture"
        )
