"""A folder of JPEG frames as a film in memory: the files as they are, one after the other, in Matroska.

No pixel is encoded anew, and whatever holds for a film holds for it: limits, cuts, the state of damaged
frames. Its rate is nominal, as a folder says none. Decodes nothing.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from emo.config.extract import MediaLimits
from emo.errors import MediaError
from emo.frames import FRAMES_A_SECOND, frames_in


def film_of(folder: Path, limits: MediaLimits) -> bytes:
    """The frames of `folder` as the bytes of a film.

    MediaError: failed:unreadable where there are no frames, one is no JPEG or they differ in size,
    failed:too_long, failed:too_large. Where each frame lies is checked before, by `emo.extractors.container`.
    """
    frames = frames_in(folder)
    if not frames:
        raise MediaError("failed:unreadable", f"{folder.name} is a folder without numbered .jpg frames")
    _check_claims(folder, frames, limits)
    pictures = [frame.read_bytes() for frame in frames]
    sizes = {_size(frame, data, limits) for frame, data in zip(frames, pictures, strict=True)}
    if len(sizes) > 1:
        told = ", ".join(f"{width} x {height}" for width, height in sorted(sizes)[:3])
        raise MediaError("failed:unreadable", f"{folder.name}: frames of {len(sizes)} sizes: {told}")
    return _muxed(pictures, *sizes.pop())


def _check_claims(folder: Path, frames: Sequence[Path], limits: MediaLimits) -> None:
    seconds = len(frames) / FRAMES_A_SECOND
    if seconds > limits.most_seconds:
        raise MediaError(
            "failed:too_long",
            f"{folder.name}: {len(frames)} frames are {seconds:.0f} s at {FRAMES_A_SECOND} a second, the "
            f"limit is {limits.most_seconds:.0f} s",
        )
    size = sum(frame.stat().st_size for frame in frames)
    if size > limits.most_bytes:
        raise MediaError(
            "failed:too_large", f"{folder.name} has {size} bytes, the limit is {limits.most_bytes}"
        )


def _size(frame: Path, data: bytes, limits: MediaLimits) -> tuple[int, int]:
    """Width and height by the header of a JPEG."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            width, height = picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MediaError("failed:unreadable", f"frame {frame.name} is no JPEG") from error
    if width * height > limits.most_pixels:
        raise MediaError(
            "failed:too_large",
            f"{frame.name}: {width} x {height} pixels, the limit is {limits.most_pixels}",
        )
    return width, height


def _muxed(pictures: Sequence[bytes], width: int, height: int) -> bytes:
    import av

    stream = io.BytesIO()
    with av.open(stream, "w", format="matroska") as film:
        track = film.add_mux_stream("mjpeg", rate=FRAMES_A_SECOND, width=width, height=height)
        for number, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.stream = track
            packet.pts = packet.dts = number
            packet.time_base, packet.duration = Fraction(1, FRAMES_A_SECOND), 1
            packet.is_keyframe = True
            film.mux(packet)
    return stream.getvalue()
