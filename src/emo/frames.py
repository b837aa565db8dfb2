"""Folders of frames: what DFEW and MAFW give out in place of films, and which files there are frames.

Knows no decoder; opens nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

FRAMES_A_SECOND = 25  # a folder does not say; times in such a clip are counted at this rate
_NUMBERED = re.compile(r"(?P<number>\d+)\.jpe?g", re.IGNORECASE)


def frames_in(folder: Path) -> list[Path]:
    """JPEGs whose name ends in a number, by that number; none where `folder` is no folder or has none.

    Hidden files and whatever else lies there are left alone. Two files of one number keep the order of their
    names: `1.jpg` and `01.jpg` are not one frame.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a Path a frame costs ten times that
    except OSError:
        return []
    numbered = [
        (int(found["number"]), name)
        for name in names
        if not name.startswith(".") and (found := _NUMBERED.search(name)) and found.end() == len(name)
    ]
    return [folder / name for _, name in sorted(numbered)]
