"""What other systems are shown of a clip: whole frames spread over it, or its sound, and the words.

Media is read in limited worker processes. Knows no system.
"""

from __future__ import annotations

import base64
import io
import wave
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emo.clip import Clip
from emo.extractors.reading import read_views_limited
from emo.views import AudioView, FrameView, MediaView, MomentView, ViewProblem

RATE = 16_000  # hertz
MIDDLE = FrameView("middle")
SIDE = 512  # pixels: the longer side of a picture that is sent
JPEG_QUALITY = 90
Look = Literal["video", "image", "audio"]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """`frames` uint8 RGB (F, H, W, 3), or `sound` float32 (S,) at RATE; the other is None."""

    frames: NDArray[np.uint8] | None = None
    sound: NDArray[np.float32] | None = None

    def jpegs(self) -> list[str]:
        """The frames as base64 of JPEGs whose longer side is at most SIDE pixels."""
        from PIL import Image

        found = []
        for frame in self.frames if self.frames is not None else ():
            picture = Image.fromarray(frame)
            picture.thumbnail((SIDE, SIDE))
            stream = io.BytesIO()
            picture.save(stream, "JPEG", quality=JPEG_QUALITY)
            found.append(base64.b64encode(stream.getvalue()).decode())
        return found

    def wav(self) -> str:
        """The sound as base64 of a WAV file of 16 bits; "" where there is none."""
        if self.sound is None:
            return ""
        stream = io.BytesIO()
        with wave.open(stream, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((np.clip(self.sound, -1, 1) * 32767).round().astype("<i2").tobytes())
        return base64.b64encode(stream.getvalue()).decode()


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
