"""Settings of media reading. Knows no room's code."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

from emo.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaLimits:
    """What a media file may claim in its header before any of it is decoded, and what decoding it may cost.

    `most_faces` bounds a view of all faces, the one view that grows with the clip. `most_memory` (bytes,
    beyond what the code itself takes), `most_cpu_seconds` and `most_wall_seconds` hold for one clip in its
    worker process. Media outside the folder `root` are refused, links that lead out of it too; None allows
    any place.
    """

    most_pixels: int = 64_000_000
    most_seconds: float = 1800.0
    most_bytes: int = 4 << 30
    most_frames_per_second: float = 240.0
    most_faces: int = 4500
    most_memory: int = 4 << 30
    most_cpu_seconds: int = 600
    most_wall_seconds: float = 1200.0
    root: Path | None = None

    def with_numbers(self, given: dict[str, str]) -> MediaLimits:
        """These limits with some of the numbers replaced, by name. ConfigError lists what is wrong."""
        numbers = {field.name: field.type for field in fields(self) if field.name != "root"}
        found: dict[str, float] = {}
        mistakes = []
        for name, text in given.items():
            try:
                found[name] = int(text) if numbers[name] == "int" else float(text)
            except KeyError:
                mistakes.append(f"there is no media limit {name!r}. Known: {', '.join(numbers)}.")
            except ValueError:
                mistakes.append(f"{name}={text!r} is no number.")
            else:
                if not found[name] > 0:
                    mistakes.append(f"{name} is {text}, but a limit is above 0.")
        if mistakes:
            raise ConfigError(*mistakes)
        return replace(self, **found)  # type: ignore[arg-type]


DEFAULTS = MediaLimits()
