"""Opening a media file safely: what may be opened, what its header claims, what libav complains of.

Only regular files by their absolute path, frames in a folder, or bytes; only whitelisted containers, no
protocol but `file`: a playlist renamed to .mp4 reaches no other file and no network. Decodes nothing.
"""

from __future__ import annotations

import errno
import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emo.clip import Clip, Region
from emo.config.extract import MediaLimits
from emo.errors import MediaError
from emo.extractors.frame_folder import film_of
from emo.frames import frames_in

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container.input import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

FORMATS = "mov,matroska,avi,mpegts,flv,asf,wav,mp3,aac,flac,ogg,mpeg"
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
GUESSED_DURATION = frozenset({"mp3", "aac", "mpegts", "mpeg"})  # their headers name no duration
MICROSECONDS = 1_000_000
LIBAV = "Lavf"  # as a writer of Matroska it counts every duration from timestamp 0, others from the start
LATE_START = 10.0  # seconds: cuts that begin later are sought, not decoded up to


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A stretch of a clip in seconds from the file's first timestamp."""

    start: float
    end: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Media:
    """An open file: its first video and audio stream (None where there is none) and its time line.

    `origin` is the file's first timestamp; every other time counts from there. `cut` is the clip's own
    stretch and `region` its part of the pictures; `length` is what the header claims, or None. `tells_ends`
    marks files whose header tells at which timestamp a stream ends instead of how long it is.
    """

    container: InputContainer
    video: VideoStream | None
    audio: AudioStream | None
    origin: float
    length: float | None
    cut: Span
    tells_ends: bool = False
    region: Region | None = None

    @property
    def seconds(self) -> float | None:
        """How long the cut is by what the header claims; None where neither says."""
        end = min(self.cut.end, float("inf") if self.length is None else self.length)
        return round(max(0.0, end - self.cut.start), 4) if end < float("inf") else None

    @property
    def sought(self) -> bool:
        """Whether reading starts in the middle of the file, near the cut."""
        return self.cut.start > LATE_START

    def stream_span(self, stream: Stream) -> tuple[float, float | None]:
        """Start and claimed end of one stream; None where neither it nor the file says."""
        start = 0.0
        if stream.start_time is not None and stream.time_base is not None:
            start = float(stream.start_time * stream.time_base) - self.origin
        length = stream_length(stream)
        if length is not None:
            return start, length - self.origin if self.tells_ends else start + length
        return start, self.length


def stream_length(stream: Stream) -> float | None:
    """Seconds that the header gives the stream itself: a field, or Matroska's DURATION tag."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION", "")
    try:
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


@contextmanager
def open_media(clip: Clip, limits: MediaLimits, data: bytes | None = None) -> Iterator[Media]:
    """The clip's file, the film of its folder of frames, or `data` in its place: opened and checked against
    `limits`, at or before its start.

    Raises MediaError: failed:unreadable, failed:too_large, failed:too_long, failed:outside_root.
    """
    from av.error import FFmpegError

    if data is None:
        folder = clip.path.is_dir()
        for path in (*(frames_in(clip.path) if folder else [clip.path]), clip.au_path):
            if path is not None:
                check_place(path, limits)
        data = film_of(clip.path, limits) if folder else None
    _check_size(clip.path.name, clip.path.stat().st_size if data is None else len(data), limits)
    try:
        container = _opened(clip, data)
    except (FFmpegError, OSError, ValueError) as error:
        refuse_full_memory(error)
        raise MediaError("failed:unreadable", f"{clip.path.name}: {_brief(error)}") from error
    with container:
        length = container.duration
        media = _describe(container, clip, _scan(clip, data) if length is None else length / MICROSECONDS)
        _check_header(media, limits)
        if media.sought:
            container.seek(int((media.origin + media.cut.start) * MICROSECONDS))
        yield media


def refuse_full_memory(error: BaseException) -> None:
    """MemoryError where that is what libav met: it says nothing of the file."""
    if getattr(error, "errno", None) == errno.ENOMEM:
        raise MemoryError("libav") from error


@contextmanager
def complaints() -> Iterator[list[tuple[int, str, str]]]:
    """Gathers what libav logs inside the block as errors (level, who, what): the only sign of some damage."""
    import av.logging

    before = av.logging.get_level()
    repeats = av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=False) as lines:
            yield lines
    finally:
        av.logging.set_level(before)
        av.logging.set_skip_repeated(repeats)


def _opened(clip: Clip, data: bytes | None) -> InputContainer:
    import av

    source = str(clip.path.absolute()) if data is None else io.BytesIO(data)
    return av.open(source, mode="r", options=OPTIONS, metadata_errors="replace")


def check_place(path: Path, limits: MediaLimits, unreadable: str = "failed:unreadable") -> None:
    """MediaError, with the status `unreadable` or failed:outside_root, where a file may not be opened."""
    try:
        place, status = path.resolve(), path.stat()
    except (OSError, ValueError, RuntimeError) as error:
        raise MediaError(unreadable, f"{path.name}: {_brief(error)}") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(unreadable, f"{path.name} is no regular file")
    if limits.root is not None and not place.is_relative_to(limits.root.resolve()):
        raise MediaError("failed:outside_root", f"{path.name} leads out of {limits.root}")


def _check_size(name: str, size: int, limits: MediaLimits) -> None:
    if size == 0:
        raise MediaError("failed:unreadable", f"{name} is empty")
    if size > limits.most_bytes:
        raise MediaError("failed:too_large", f"{name} has {size} bytes, the limit is {limits.most_bytes}")


def _scan(clip: Clip, data: bytes | None) -> float | None:
    """Seconds from the first to the last timestamp of a file whose header names no duration, as in live
    recordings; reads the packets and decodes none."""
    from av.error import FFmpegError

    first, last = float("inf"), float("-inf")
    with _opened(clip, data) as container:
        try:
            for packet in container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    first = min(first, float(packet.pts * packet.time_base))
                    last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        except FFmpegError as error:
            refuse_full_memory(
                error
            )  # else what could be read decides; the reading proper will meet the damage again
    return last - first if last > first else None


def _describe(container: InputContainer, clip: Clip, length: float | None) -> Media:
    from av.stream import Disposition

    moving = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None
    ]
    sounding = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not container.streams:
        raise MediaError("failed:unreadable", f"{clip.path.name} has no streams")
    origin = (container.start_time or 0) / MICROSECONDS
    tells_ends = "matroska" in container.format.name and LIBAV in container.metadata.get("ENCODER", "")
    if tells_ends and length is not None and container.duration is not None:
        length -= origin
    start = max(0.0, clip.start or 0.0)
    end = clip.end if clip.end is not None else float("inf")
    return Media(
        container=container,
        video=moving[0] if moving else None,
        audio=sounding[0] if sounding else None,
        origin=origin,
        length=length,
        cut=Span(start=start, end=end),
        tells_ends=tells_ends,
        region=clip.region,
    )


def _check_header(media: Media, limits: MediaLimits) -> None:
    length = min(media.cut.end, media.length or 0.0) - media.cut.start
    if length > limits.most_seconds:
        raise MediaError("failed:too_long", f"{length:.0f} s, the limit is {limits.most_seconds:.0f} s")
    if media.video is None:
        return
    pixels = media.video.width * media.video.height
    if pixels > limits.most_pixels:
        raise MediaError(
            "failed:too_large",
            f"{media.video.width} x {media.video.height} pixels, the limit is {limits.most_pixels}",
        )
    rate = float(media.video.average_rate or 0)
    if rate > limits.most_frames_per_second:
        raise MediaError(
            "failed:too_large",
            f"{rate:.0f} frames a second, the limit is {limits.most_frames_per_second:.0f}",
        )


def _brief(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
