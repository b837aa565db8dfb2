"""A sound as the bytes of a WAV, 16 bits, one channel, and back. Knows no clips.

Axes: S samples.
"""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 32767


def wav_bytes(sound: NDArray[np.float32], rate: int) -> bytes:
    """The WAV of a sound (S,) within -1..1 at `rate` hertz; what is louder is cut."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(np.clip(sound, -1, 1) * FULL_SCALE).astype("<i2").tobytes())
    return stream.getvalue()


def read_wav(data: bytes) -> NDArray[np.float32]:
    """The sound (S,) of a WAV that `wav_bytes` made."""
    with wave.open(io.BytesIO(data)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return (samples / FULL_SCALE).astype(np.float32)
