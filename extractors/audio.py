"""The sound of a clip: decoded frames to mono float32 at the rate that an encoder reads.

Channels are averaged, rates changed by soxr HQ (aliasing at -143 dB). Works on pieces, so a long
track costs its samples at the target rate and no more. Knows no containers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emo.errors import MediaError
from emo.extractors.container import Span
from emo.views import AudioView, ViewData

if TYPE_CHECKING:
    from av import AudioFrame, AudioResampler
    from soxr import ResampleStream

SHORT_SECONDS = 0.025  # less than one frame of HuBERT


class Piece(NamedTuple):
    """Mono samples (n,) float32 at `rate` hertz whose first is at `time` seconds of the file."""

    time: float
    samples: NDArray[np.float32]
    rate: int


class Pieces:
    """What of decoded frames lies in a clip's cut, mono, with its time."""

    def __init__(self, cut: Span, origin: float) -> None:
        self._cut = cut
        self._origin = origin
        self._unpacker: AudioResampler | None = None
        self._clock = 0.0

    def of(self, frame: AudioFrame) -> Iterator[Piece]:
        """The pieces of the next decoded frame."""
        from av import AudioResampler

        if self._unpacker is None:
            self._unpacker = AudioResampler(format="fltp", rate=frame.sample_rate)
        if frame.time is not None:
            self._clock = frame.time - self._origin
        for plain in self._unpacker.resample(frame):
            piece = self._inside(plain.to_ndarray().mean(axis=0, dtype=np.float32), plain.sample_rate)
            if len(piece.samples):
                yield piece

    def _inside(self, samples: NDArray[np.float32], rate: int) -> Piece:
        begin = max(0, math.ceil((self._cut.start - self._clock) * rate - 1e-6))
        end = len(samples)
        if math.isfinite(self._cut.end):
            end = min(end, max(0, math.ceil((self._cut.end - self._clock) * rate - 1e-6)))
        time = self._clock + begin / rate
        self._clock += len(samples) / rate
        return Piece(time, samples[begin:end], rate)


class Sound:
    """Gathers decoded audio frames of a clip's cut into one view."""

    def __init__(self, view: AudioView, cut: Span, origin: float) -> None:
        self._wanted = view
        self._pieces = Pieces(cut, origin)
        self._resampler: ResampleStream | None = None
        self._samples = bytearray()  # grows in place, where joining a list of pieces would double it
        self._first: float | None = None

    def feed(self, frame: AudioFrame) -> None:
        """Take the next decoded frame."""
        for piece in self._pieces.of(frame):
            if self._first is None:
                self._first = piece.time
            self._samples += self._resampled(piece.samples, piece.rate).tobytes()

    def view(self, degraded: str | None = None) -> ViewData:
        """What was gathered, (S,) float32.

        Raises MediaError: missing:no_audio where there are no samples, failed:nonfinite.
        """
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            self._samples += rest.astype(np.float32).tobytes()
        sound = np.frombuffer(self._samples, dtype=np.float32)
        if not len(sound):
            raise MediaError("missing:no_audio", "the sound track has no samples in this cut")
        finite = np.isfinite(sound)
        if not finite.all():
            raise MediaError("failed:nonfinite", f"the sound is not finite at sample {int(finite.argmin())}")
        flags = []
        if not sound.any():
            flags.append("silent")
        if len(sound) < SHORT_SECONDS * self._wanted.rate:
            flags.append("short")
        return ViewData(
            array=sound,
            times=np.array([self._first or 0.0]),
            meta={"seconds": round(len(sound) / self._wanted.rate, 4), "rate": self._wanted.rate},
            flags=tuple(flags),
            degraded=degraded,
        )

    def _resampled(self, samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
        if rate == self._wanted.rate:
            return samples
        if self._resampler is None:
            from soxr import ResampleStream

            self._resampler = ResampleStream(rate, self._wanted.rate, 1, dtype="float32", quality="HQ")
        return np.asarray(self._resampler.resample_chunk(samples), dtype=np.float32)
