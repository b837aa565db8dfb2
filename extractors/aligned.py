"""Faces that OpenFace aligned and cut out beforehand: `openface_face/<name>.npy`, uint8 BGR (F, 112, 112, 3).

The layout is that of MERBench (arXiv 2401.03429) and of the MER challenges. The file holds the faces of the
whole media file in order of time and says no times: they are taken to be evenly spread over its pictures.
Files are not trusted: the header is compared with the size before anything is read, nothing is unpickled, and
only the faces that are wanted are read. Decodes nothing and looks for no faces.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from emo.config.extract import MediaLimits
from emo.errors import ConfigError, MediaError
from emo.extractors.container import Media, Span, check_place
from emo.extractors.faces import resized
from emo.extractors.sampling import ALL, expressive, moments
from emo.extractors.visual import MANY_WITHOUT_FACE, Scene
from emo.views import FacesView, ViewData

SIDE = 112
FACE_BYTES = SIDE * SIDE * 3
BAD = "failed:bad_faces_file"
MAGIC = b"\x93NUMPY\x01\x00"  # the version that NumPy writes for every header below 64 KiB
# NumPy's own reader evaluates the header as an expression; only one header is possible here.
HEADER = re.compile(
    rb"\{'descr': '[|<]?u1', 'fortran_order': False, 'shape': \((\d{1,9}), 112, 112, 3\),? ?\} *\n"
)
SHOWN = 80  # characters of a wrong header
SAME_FACE = 1e-6  # faces: a moment on the edge between two belongs to the later


def aligned_faces(view: FacesView, scene: Scene) -> ViewData:
    """(N, size, size, 3) RGB of the clip's `faces_path`, flagged `short` where moments share a face.

    A face without any light stands for a frame in which OpenFace found none. Raises MediaError
    missing:no_face, failed:bad_faces_file, failed:too_large, failed:too_long, failed:no_frames,
    failed:outside_root; ConfigError for a sampling that looks for faces itself.
    """
    if expressive(view.sampling):
        raise ConfigError(f"The sampling {view.sampling!r} cannot choose among aligned faces.")
    path, limits = scene.clip.faces_path, scene.limits
    if path is None:
        raise MediaError("missing:no_face", "no aligned faces: the manifest names no faces_path")
    with _opened(path, limits) as file:
        placed = _Placed.of(scene.media, file.count)
        chosen = placed.chosen(view.sampling)
        if len(chosen) > limits.most_faces:
            raise MediaError("failed:too_long", f"more than {limits.most_faces} faces")
        faces = file.read(chosen)
    dark = 1 - faces.reshape(len(faces), -1).any(axis=1).mean()
    if dark == 1:
        raise MediaError("missing:no_face", f"no aligned face in any of {len(faces)} frames looked at")
    flags = ["short"] if len(set(chosen)) < len(chosen) else []
    if dark > MANY_WITHOUT_FACE:
        flags.append("few_faces")
    return ViewData(
        array=np.stack([resized(face, view.size) for face in faces]),
        times=np.array([placed.time(index) for index in chosen]),
        meta={
            "alignment": view.alignment,
            "faces": file.count,
            "no_face_share": round(float(dark), 4),
            "times": "evenly spread",
        },
        flags=tuple(flags),
    )


@dataclass(frozen=True, slots=True)
class _Placed:
    """`count` faces, evenly spread over the pictures of a file, of which those in `cut` count."""

    count: int
    shown: Span
    cut: Span

    @classmethod
    def of(cls, media: Media, count: int) -> _Placed:
        start, end = (0.0, media.length) if media.video is None else media.stream_span(media.video)
        if end is None or not end > start:
            raise MediaError("failed:unreadable", "the header does not say how long the media is")
        return cls(count, Span(start=start, end=end), media.cut)

    def time(self, index: int) -> float:
        """When a face is shown first, in seconds."""
        return self.shown.start + index * (self.shown.end - self.shown.start) / self.count

    def chosen(self, sampling: str) -> list[int]:
        """Indices of the faces that a sampling rule wants; MediaError failed:no_frames."""
        inside = [
            index
            for index in range(self.count)
            if self.cut.start - SAME_FACE <= self.time(index) < self.cut.end
        ]
        if not inside:
            raise MediaError("failed:no_frames", "no aligned face lies in this cut")
        if sampling == ALL:
            return inside
        start, end = max(self.shown.start, self.cut.start), min(self.shown.end, self.cut.end)
        return [min(max(self._at(moment), inside[0]), inside[-1]) for moment in moments(sampling, start, end)]

    def _at(self, moment: float) -> int:
        share = (moment - self.shown.start) / (self.shown.end - self.shown.start)
        return int(share * self.count + SAME_FACE)


@dataclass(frozen=True, slots=True)
class _FacesFile:
    """An open file whose header fits its size: `count` faces from the byte `first` on."""

    stream: BinaryIO
    count: int
    first: int

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The faces (N, 112, 112, 3) in RGB."""
        faces = np.empty((len(indices), SIDE, SIDE, 3), np.uint8)
        for place, index in enumerate(indices):
            self.stream.seek(self.first + index * FACE_BYTES)
            read = np.frombuffer(self.stream.read(FACE_BYTES), np.uint8)
            faces[place] = read.reshape(SIDE, SIDE, 3)[..., ::-1]
        return faces


@contextmanager
def _opened(path: Path, limits: MediaLimits) -> Iterator[_FacesFile]:
    check_place(path, limits, BAD)
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > limits.most_bytes:
                raise MediaError(
                    "failed:too_large", f"{path.name} has {size} bytes, the limit is {limits.most_bytes}"
                )
            yield _checked(stream, size)
    except (OSError, ValueError) as error:
        raise MediaError(BAD, f"{path.name}: {error}") from error


def _checked(stream: BinaryIO, size: int) -> _FacesFile:
    """ValueError where the header is another than that of aligned faces, or the size is not as it says."""
    if stream.read(len(MAGIC)) != MAGIC:
        raise ValueError("not a NumPy file of version 1.0")
    header = stream.read(int.from_bytes(stream.read(2), "little"))
    told = HEADER.fullmatch(header)
    if told is None:
        raise ValueError(f"not uint8 (F, {SIDE}, {SIDE}, 3): {header[:SHOWN].decode('latin-1')!r}")
    count, first = int(told[1]), stream.tell()
    if size != first + count * FACE_BYTES:
        raise ValueError(f"the header says {count} faces, the file has {size - first} bytes of them")
    if not count:
        raise MediaError("missing:no_face", "the file of aligned faces is empty")
    return _FacesFile(stream, count, first)
