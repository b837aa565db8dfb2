"""One pass over a container: packets to frames to whoever wants them, and a verdict on the damage met.

Decodes only the streams that are wanted, in one thread (clips are spread over processes), up to the end of
the cut. What it says of one stream never depends on whether the other was wanted. Knows no views.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from emo.extractors.container import (
    GUESSED_DURATION,
    Media,
    complaints,
    refuse_full_memory,
    stream_length,
)
from emo.extractors.pictures import Picture

if TYPE_CHECKING:
    from av import AudioFrame, Packet, VideoFrame
    from av.stream import Stream

Kind = Literal["video", "audio"]

LEAST_MISSING = 0.02  # share of the claimed duration whose absence is a truncation
FRAMES_MISSING = 2
SOUND_MISSING_S = 0.1
SLACK_S = 1.0  # reading goes on this long behind the cut: packets come out of order
SAME_MOMENT = 1e-6


class PictureSink(Protocol):
    """Takes the pictures of a cut in order of time."""

    def feed(self, picture: Picture) -> None:
        """Take the next picture."""

    def finish(self) -> None:
        """There are no more."""


class SoundSink(Protocol):
    """Takes the decoded sound of a file in order of time; what of it lies in the cut is its own business."""

    def feed(self, frame: AudioFrame) -> None:
        """Take the next decoded frame."""


class Pass:
    """One reading of a file. `read` runs it; then `frames` counts pictures and `degraded` judges a stream."""

    def __init__(self, media: Media, pictures: Sequence[PictureSink], sounds: Sequence[SoundSink]) -> None:
        self._media = media
        self._pictures = pictures if media.video is not None else ()
        self._sounds = sounds if media.audio is not None else ()
        self._reached: dict[int, float] = {}
        self._failed: list[str] = []
        self._said: list[tuple[int, str, str]] = []
        self.frames = 0

    def read(self) -> None:
        """Decode to the end of the cut and feed every sink."""
        streams = [stream for stream in (self._media.video, self._media.audio) if stream is not None]
        for stream in streams:
            stream.codec_context.thread_count = 1
        with complaints() as self._said:
            for packet in self._packets(streams):
                self._decode(packet)
                if self._behind_cut():
                    break
        for sink in self._pictures:
            sink.finish()

    def degraded(self, kind: Kind) -> str | None:
        """`degraded:truncated`, `degraded:decode_errors(n)` or None: the state of one stream's media."""
        stream = self._media.video if kind == "video" else self._media.audio
        other = self._media.audio if kind == "video" else self._media.video
        if stream is not None and self._ends_early(stream):
            return "degraded:truncated"
        not_ours = other.codec_context.name if other is not None else None
        who = [*self._failed, *(name for _, name, _ in self._said)]
        count = sum(name != not_ours for name in who)
        return f"degraded:decode_errors({count})" if count else None

    def _packets(self, streams: Sequence[Stream]) -> Iterator[Packet[Any]]:
        from av.error import FFmpegError

        packets = self._media.container.demux(*streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError as error:
                refuse_full_memory(error)
                self._failed.append(self._media.container.format.name)
                return
            yield packet

    def _decode(self, packet: Packet[Any]) -> None:
        from av.error import FFmpegError

        stream = packet.stream
        if packet.pts is not None and packet.time_base is not None:
            end = float(packet.pts * packet.time_base) + _shown_for(packet) - self._media.origin
            self._reached[stream.index] = max(end, self._reached.get(stream.index, end))
        try:
            if stream.type == "audio" and self._sounds:
                for frame in packet.decode():
                    for sound in self._sounds:
                        sound.feed(cast("AudioFrame", frame))
            elif stream.type == "video" and self._pictures:
                for frame in packet.decode():
                    self._show(frame)
        except FFmpegError as error:
            refuse_full_memory(error)
            self._failed.append(stream.codec_context.name)

    def _show(self, frame: VideoFrame) -> None:
        if frame.pts is None:
            return
        time = frame.time - self._media.origin
        if self._media.cut.start - SAME_MOMENT <= time < self._media.cut.end:
            if self._media.sought and not self.frames:  # a decoder dropped into the middle complains
                self._failed.clear()
                self._said.clear()
            self.frames += 1
            for sink in self._pictures:
                sink.feed(Picture(time, frame, self._media.region))

    def _behind_cut(self) -> bool:
        """Whether every wanted stream has been read beyond the cut's end."""
        limit = self._media.cut.end + SLACK_S
        wanted = [self._media.video if self._pictures else None, self._media.audio if self._sounds else None]
        reached = [self._reached.get(stream.index, 0.0) for stream in wanted if stream is not None]
        return bool(reached) and min(reached) > limit

    def _ends_early(self, stream: Stream) -> bool:
        """Whether the stream stops before the end that its header claims, or the whole file does."""
        media = self._media
        if media.container.format.name.split(",")[0] in GUESSED_DURATION:
            return False
        if stream_length(stream) is not None:
            _, claimed = media.stream_span(stream)
            reached = self._reached.get(stream.index, 0.0)
        else:
            claimed = media.length
            reached = max(self._reached.values(), default=0.0)
        if claimed is None:
            return False
        expected = min(claimed, media.cut.end)
        return expected - reached > max(self._tolerance(stream), LEAST_MISSING * expected)

    @staticmethod
    def _tolerance(stream: Stream) -> float:
        if stream.type == "video" and stream.average_rate:
            return FRAMES_MISSING / float(stream.average_rate)
        return SOUND_MISSING_S


def _shown_for(packet: Packet[Any]) -> float:
    """Seconds that a packet lasts; where it does not say, as in WMV, a picture lasts as the rate says."""
    if packet.duration and packet.time_base is not None:
        return float(packet.duration * packet.time_base)
    stream = packet.stream
    rate = stream.average_rate if stream.type == "video" else None
    return 1 / float(rate) if rate else 0.0
