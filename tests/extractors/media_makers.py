"""Media files of every kind that people have, made by code; each maker writes one file at its path.

`TABLE` says what `emo extract` must say of each: the status for sound, faces and one whole frame.
"""

import os
import re
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from emo.testing import Film, drawn_face, tone, write_clip

FACE = [drawn_face(160, 120, centre=(0.48 + 0.04 * index / 20, 0.5)) for index in range(20)]
SECONDS = len(FACE) / 25
SOUND = tone(SECONDS)
OK = "ok"
UNREADABLE = "failed:unreadable"
TRUNCATED = "degraded:truncated"
ERRORS = "degraded:decode_errors(n)"
NO_SOUND = "missing:no_audio"
NO_PICTURES = "missing:no_video"


@dataclass(frozen=True)
class Case:
    """How a file is made, and the status of the views of it; `flags` are those its records carry."""

    make: object
    audio: str = OK
    faces: str = OK
    frame: str = OK
    flags: dict = field(default_factory=dict)


def all_of(make, status, **flags):
    return Case(make, status, status, status, flags)


def heard(make, status=OK, **flags):
    return Case(make, status, NO_PICTURES, NO_PICTURES, flags)


def seen(make, **flags):
    return Case(make, NO_SOUND, OK, OK, flags)


def plain(**options):
    return lambda path: write_clip(path, FACE, SOUND, **options)


def mute(pictures=None, **options):
    return lambda path: write_clip(path, FACE if pictures is None else pictures, None, **options)


def spoilt(change, name="whole.mkv", pictures=FACE, **options):
    """A good file, then what `change` makes of its bytes."""

    def make(path):
        whole = write_clip(path.with_name(f"{path.name}.{name}"), pictures, SOUND, **options)
        path.write_bytes(bytes(change(bytearray(whole.read_bytes()))))
        whole.unlink()

    return make


def half(data):
    return data[: len(data) // 2]


def holed(data):
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    return data


def of_bytes(data):
    return lambda path: path.write_bytes(data)


def film(codec, pixels, **options):
    """Pictures alone in a codec and a pixel format."""
    return mute(film=Film(codec=codec, pixel_format=pixels, options=options))


def written(*streams, kind=None, options=None):
    """A file of streams; each is a function of the container that gives a stream and its frames."""

    def make(path):
        with av.open(str(path), "w", format=kind, options=options or {}) as container:
            made = [stream(container) for stream in streams]
            for stream, frames in made:
                for frame in frames:
                    for packet in stream.encode(frame):
                        container.mux(packet)
                if frames:
                    for packet in stream.encode():
                        container.mux(packet)

    return make


def sound_stream(codec="pcm_s16le", rate=16_000, layout="mono", samples=None, kind="s16"):
    def add(container):
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 128_000
        count = stream.codec_context.layout.nb_channels
        mono = tone(SECONDS, rate=rate) if samples is None else samples
        wide = np.repeat(mono[None], count, axis=0)
        step = stream.codec_context.frame_size or 1024
        frames = []
        for at in range(0, wide.shape[1], step):
            part = wide[:, at : at + step]
            plain = np.ascontiguousarray(part.T.reshape(1, -1))
            shown = (plain * 32767).astype(np.int16) if kind == "s16" else plain.astype(np.float32)
            frame = av.AudioFrame.from_ndarray(shown, format=kind, layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            frames.append(frame)
        return stream, frames

    return add


def picture_stream(pictures=None, codec="libx264", times=None, rate=25, ticks=1000, **settings):
    def add(container):
        shown = FACE if pictures is None else pictures
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = (shown or FACE)[0].shape[:2]
        stream.pix_fmt = settings.pop("pix_fmt", "yuv420p")
        stream.options = settings.pop("options", {"preset": "ultrafast"})
        stream.codec_context.time_base = Fraction(1, ticks)
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        moments = times or [index / rate for index in range(len(shown))]
        frames = []
        for picture, moment in zip(shown, moments, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = round(moment * ticks), Fraction(1, ticks)
            frames.append(frame)
        return stream, frames

    return add


def cover(container):
    stream = container.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
    stream.disposition = av.stream.Disposition.attached_pic
    return stream, [av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8), format="rgb24")]


def no_cover(container):
    """A sound stream that never gets a sample, or a video stream that never gets a frame."""
    stream, _ = sound_stream()(container)
    return stream, []


def no_pictures(container):
    stream, _ = picture_stream()(container)
    return stream, []


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data


def float_wave(value):
    samples = tone(SECONDS)
    samples[123] = value

    def make(path):
        data = samples.tobytes()
        form = struct.pack("<HHIIHH", 3, 1, 16_000, 64_000, 4, 32)  # IEEE floats, mono
        chunks = chunk(b"fmt ", form) + chunk(b"data", data)
        path.write_bytes(chunk(b"RIFF", b"WAVE" + chunks))

    return make


def longer_by_header(data):
    """A Matroska file whose header claims ten times its length."""
    at = data.index(b"\x44\x89\x88") + 3
    (length,) = struct.unpack(">d", data[at : at + 8])
    data[at : at + 8] = struct.pack(">d", length * 10)
    for found in re.finditer(rb"00:00:00\.(\d{9})", bytes(data)):
        data[found.start() : found.end()] = b"00:00:08." + found.group(1)
    return data


def endless_wave(data):
    """A wave file whose header claims two gigabytes of samples."""
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0x7FFFFFF0)
    return data


def sparse(path):
    write_clip(path, FACE, SOUND)
    os.truncate(path, (4 << 30) + 1)


def turned(degrees):
    pictures = [np.ascontiguousarray(np.rot90(picture, -degrees // 90)) for picture in FACE]
    return mute(pictures, film=Film(rotation=degrees))


def two_faces(path):
    pair = np.concatenate([FACE[0], drawn_face(160, 120, size=0.5)], axis=1)
    write_clip(path, [pair] * 20, SOUND)


def odd(picture):
    return np.ascontiguousarray(picture[:119, :159])


NOBODY = [np.full((120, 160, 3), 90, np.uint8)] * 20
VARIABLE = [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.31, 1.32]
VARIABLE += [1.5, 1.7, 1.9, 2.1, 2.3, 2.5]
HDR = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "pix_fmt": "yuv420p10le"}
INTERLACED = {"preset": "ultrafast", "x264-params": "interlaced=1:tff=1"}

TABLE = {
    "no_moov.mp4": all_of(spoilt(half, "whole.mp4"), UNREADABLE),
    "empty.mp4": all_of(of_bytes(b""), UNREADABLE),
    "text.mp4": all_of(of_bytes(b"this is no film\n" * 50), UNREADABLE),
    "noise.mp4": all_of(of_bytes(np.random.default_rng(1).bytes(20_000)), UNREADABLE),
    "zeros.mp4": all_of(of_bytes(bytes(20_000)), UNREADABLE),
    "picture.mp4": all_of(
        written(picture_stream(FACE[:1], "mjpeg", pix_fmt="yuvj420p", options={}), kind="image2"), UNREADABLE
    ),
    "animation.gif": all_of(
        written(picture_stream(FACE[:3], "gif", pix_fmt="rgb8", options={}), kind="gif"), UNREADABLE
    ),
    "directory.mp4": all_of(Path.mkdir, UNREADABLE),
    "pipe.mp4": all_of(os.mkfifo, UNREADABLE),
    "device.mp4": all_of(lambda path: path.symlink_to("/dev/zero"), UNREADABLE),
    "nowhere.mp4": all_of(lambda path: path.symlink_to("gone.mp4"), UNREADABLE),
    "in_a_circle.mp4": all_of(lambda path: path.symlink_to(path), UNREADABLE),
    "short.mkv": all_of(spoilt(half), TRUNCATED, faces=["short"]),
    "short.mp4": all_of(
        spoilt(half, "whole.mp4", options={"movflags": "faststart"}), TRUNCATED, faces=["short"]
    ),
    "holed.mp4": all_of(
        spoilt(holed, "whole.mp4", options={"movflags": "faststart"}), ERRORS, faces=["short"]
    ),
    "holed.mkv": all_of(spoilt(holed), TRUNCATED, faces=["short"]),  # its only cluster is lost from there on
    "boasting.mkv": all_of(spoilt(longer_by_header), TRUNCATED, faces=["short"]),
    "mute.mp4": seen(mute()),
    "no_samples.mkv": seen(written(picture_stream(), no_cover)),
    "silent.mp4": Case(lambda path: write_clip(path, FACE, 0 * SOUND), flags={"audio": ["silent"]}),
    "a_blink_of_sound.wav": heard(lambda path: write_clip(path, None, SOUND[:200]), audio=["short"]),
    "sound.wav": heard(lambda path: write_clip(path, None, SOUND)),
    "sound.mp3": heard(written(sound_stream("libmp3lame"))),
    "sound.flac": heard(written(sound_stream("flac"))),
    "sound.ogg": heard(written(sound_stream("libopus", rate=48_000))),
    "sound.aac": heard(written(sound_stream("aac"), kind="adts")),
    "sound.m4a": heard(written(sound_stream("aac"), kind="mp4")),
    "endless.wav": heard(spoilt(endless_wave, "whole.wav", None)),
    "cover.mp3": heard(written(cover, sound_stream("libmp3lame"))),
    "nobody.mp4": Case(lambda path: write_clip(path, NOBODY, SOUND), faces="missing:no_face"),
    "two_faces.mp4": Case(two_faces),
    "no_frames.mkv": Case(
        written(no_pictures, sound_stream()), faces="failed:no_frames", frame="failed:no_frames"
    ),
    "one_frame.mp4": seen(mute(FACE[:1]), faces=["short"]),
    "ten_frames.mp4": seen(mute(FACE[:10]), faces=["short"]),
    "variable.mkv": Case(written(picture_stream(times=VARIABLE), sound_stream()), flags={"faces": ["short"]}),
    "late.mkv": seen(written(picture_stream(times=[5 + index / 25 for index in range(20)]))),
    "late.mp4": Case(
        written(picture_stream(times=[0.2 + index / 25 for index in range(20)]), sound_stream("aac"))
    ),
    "early.mp4": seen(
        written(
            picture_stream(times=[(index - 5) / 25 for index in range(20)]),
            options={"avoid_negative_ts": "disabled"},
        ),
        faces=["short"],
    ),
    "turned_90.mp4": seen(turned(90)),
    "turned_180.mp4": seen(turned(180)),
    "turned_270.mp4": seen(turned(270)),
    "ten_bit.mkv": seen(film("libx264", "yuv420p10le")),
    "hdr.mkv": seen(
        written(
            picture_stream(
                codec="libx265", options={"preset": "ultrafast", "x265-params": "log-level=none"}, **HDR
            )
        )
    ),
    "full_chroma.mp4": seen(film("libx264", "yuv444p")),
    "odd.mkv": seen(
        mute([odd(picture) for picture in FACE], film=Film(codec="ffv1", pixel_format="yuv420p", options={}))
    ),
    "interlaced.mkv": seen(film("libx264", "yuv420p", **INTERLACED)),
    "alpha_qtrle.mov": seen(film("qtrle", "argb")),
    "alpha_png.mov": seen(film("png", "rgba")),
    "alpha_prores.mov": seen(film("prores_ks", "yuva444p10le", profile="4444")),
    "alpha_vp9.webm": seen(film("libvpx-vp9", "yuva420p")),
    "av1.mp4": seen(film("libsvtav1", "yuv420p", preset="12")),
    "stereo.wav": heard(written(sound_stream(layout="stereo"))),
    "surround.flac": heard(written(sound_stream("flac", layout="5.1"))),
    "surround.mkv": heard(written(sound_stream("pcm_s16le", rate=48_000, layout="5.1"))),
    "telephone.wav": heard(written(sound_stream(rate=8000))),
    "disc.wav": heard(written(sound_stream(rate=44_100))),
    "studio.wav": heard(written(sound_stream(rate=192_000))),
    "floats.wav": heard(float_wave(0.1)),
    "nan.wav": heard(float_wave(np.nan), "failed:nonfinite"),
    "inf.wav": heard(float_wave(np.inf), "failed:nonfinite"),
    "huge.mkv": all_of(mute([np.full((8192, 8192, 3), 90, np.uint8)]), "failed:too_large"),
    "hurried.mkv": all_of(written(picture_stream(rate=500)), "failed:too_large"),
    "sparse.mp4": all_of(sparse, "failed:too_large"),
    "long.mkv": all_of(mute(FACE[:2], frame_times=[0.0, 2000.0]), "failed:too_long"),
    "film.mov": Case(plain()),
    "film.avi": Case(plain(film=Film(codec="mpeg4", options={}))),
    "film.flv": Case(
        written(picture_stream(codec="flv", options={}), sound_stream("libmp3lame", rate=44_100))
    ),
    "film.webm": Case(
        written(picture_stream(codec="libvpx-vp9", options={}), sound_stream("libopus", rate=48_000))
    ),
    "film.ts": Case(written(picture_stream(), sound_stream("aac"), kind="mpegts")),
    "film.mpg": Case(
        written(
            picture_stream(codec="mpeg2video", ticks=25, options={}),
            sound_stream("mp2", rate=44_100),
            kind="mpeg",
        )
    ),
    "film.wmv": Case(
        written(
            picture_stream(codec="wmv2", ticks=25, options={}),
            sound_stream("wmav2", rate=44_100, layout="stereo", kind="flt"),
            kind="asf",
        ),
        flags={"faces": ["short"]},
    ),
    "mjpeg.avi": seen(film("mjpeg", "yuvj420p")),
}
