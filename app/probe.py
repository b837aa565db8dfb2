"""A first look at an upload, in a limited worker: what the file claims, and how much there really is.

Nothing is decoded: the header is read and the packets are counted, so a header that lies about its length is
found out before any work is done. Knows no models.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from emo.canonical import Json
from emo.clip import Clip
from emo.config.app import AppLimits
from emo.config.extract import MediaLimits
from emo.errors import MediaError
from emo.extractors.container import Media, open_media
from emo.safety.limits import Limits
from emo.safety.messages import Message
from emo.safety.workers import LimitedWorkers

MEMORY = 1 << 30
SECONDS = 10
OPEN_FILES = 64
SLACK_S = 0.5  # sound of the last packet may end behind the pictures
PRELOAD = ("emo.app.probe", "av", "emo.extractors.container")


@dataclass(frozen=True, kw_only=True, slots=True)
class Probed:
    """What is in a file: its length in seconds, and whether it has moving pictures and sound."""

    seconds: float
    pictures: bool
    sound: bool


def probe(path: Path, limits: AppLimits) -> Probed:
    """Look at the file. Raises MediaError with the statuses of `emo.extractors.media.read_views`."""
    media = limits.media()
    order: dict[str, Json] = {
        "path": str(path),
        "limits": [media.most_pixels, media.most_seconds, media.most_bytes, media.most_frames_per_second],
    }
    answer = _workers().call(order)
    if not isinstance(answer, Message):
        raise MediaError(f"failed:{answer.how}", answer.reason)
    told: Any = answer.body
    if "status" in told:
        raise MediaError(str(told["status"]), str(told["reason"]))
    return Probed(seconds=float(told["seconds"]), pictures=bool(told["pictures"]), sound=bool(told["sound"]))


def warm() -> None:
    """Start the process that workers are forked from, and wait for it: a first upload is answered at once."""
    _workers().guards()


def work(order: Json, buffers: list[bytearray]) -> Message:
    """What the worker does."""
    told: Any = order
    pixels, seconds, size, rate = told["limits"]
    limits = MediaLimits(
        most_pixels=pixels, most_seconds=seconds, most_bytes=size, most_frames_per_second=rate
    )
    try:
        with open_media(Clip(clip_id="clip", path=Path(told["path"])), limits) as media:
            length = _measured(media, limits)
            return Message(
                {
                    "seconds": length,
                    "pictures": media.video is not None,
                    "sound": media.audio is not None,
                }
            )
    except MediaError as error:
        return Message({"status": error.status, "reason": error.reason})


def _measured(media: Media, limits: MediaLimits) -> float:
    """Seconds from the file's first timestamp to its last; MediaError where there is more than is allowed."""
    from av.error import FFmpegError

    streams = [stream for stream in (media.video, media.audio) if stream is not None]
    if not streams:
        raise MediaError("failed:unreadable", "there are neither moving pictures nor sound")
    last, pictures = 0.0, 0
    most_pictures = limits.most_frames_per_second * (limits.most_seconds + SLACK_S)
    try:
        for packet in media.container.demux(*streams):
            if packet.pts is not None and packet.time_base is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - media.origin
                last = max(last, end)
            pictures += packet.stream is media.video and packet.size > 0
            if last > limits.most_seconds + SLACK_S or pictures > most_pictures:
                raise MediaError("failed:too_long", f"more than {limits.most_seconds:.0f} s of media")
    except FFmpegError as error:
        if last == 0:
            raise MediaError("failed:unreadable", "no packet can be read") from error
    return last


@cache
def _workers() -> LimitedWorkers:
    limits = Limits(
        memory_bytes=MEMORY, cpu_seconds=SECONDS, wall_seconds=SECONDS, file_bytes=0, open_files=OPEN_FILES
    )
    return LimitedWorkers("emo.app.probe:work", limits, PRELOAD)
