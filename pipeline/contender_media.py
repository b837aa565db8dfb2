"""What other systems are shown of a clip: whole frames spread over it, or its sound, and the words.

Media is read in limited worker processes. Knows no system.
"""

from __future__ import annotations

import io

import numpy as np

from emo.clip import Clip
from emo.extractors.reading import read_views_limited
from emo.merr.models.media import RATE, Look, Shown
from emo.views import AudioView, FrameView, MediaView, MomentView, ViewProblem

MIDDLE = FrameView("middle")
SIDE = 512  # pixels: the longer side of a picture that is sent
JPEG_QUALITY = 90


def jpegs(seen: Shown) -> list[bytes]:
    """The frames as JPEGs whose longer side is at most SIDE pixels."""
    from PIL import Image

    found = []
    for frame in seen.frames if seen.frames is not None else ():
        picture = Image.fromarray(frame)
        picture.thumbnail((SIDE, SIDE))
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=JPEG_QUALITY)
        found.append(stream.getvalue())
    return found


def shown(clip: Clip, look: Look, frames: int) -> Shown | ViewProblem:
    """What `look` sees of a clip: `frames` in the middles of equal parts, the middle frame alone, or the
    sound; a problem where the media cannot give it."""
    first = AudioView(RATE) if look == "audio" else MIDDLE
    seen = read_views_limited(clip, [first])[first]
    if isinstance(seen, ViewProblem):
        return seen
    if look == "audio":
        return Shown(sound=np.asarray(seen.array, dtype=np.float32))
    if look == "image" or frames == 1 or not seen.media_seconds:
        return Shown(frames=np.asarray(seen.array[None]))
    begin = clip.start or 0.0
    moments: list[MediaView] = [
        MomentView(begin + (place + 0.5) / frames * seen.media_seconds) for place in range(frames)
    ]
    views = read_views_limited(clip, moments)
    pictures = []
    for view in moments:
        found = views[view]
        if isinstance(found, ViewProblem):
            return found
        pictures.append(found.array)
    return Shown(frames=np.stack(pictures))
