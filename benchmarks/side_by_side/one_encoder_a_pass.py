"""The field's way to extract: one script an encoder, each of which decodes every clip for itself.

One clip and one encoder at a time; sound goes through a wav file, every frame becomes a PIL picture, features
are saved as .npy. Encoders, face detector and moments are those of emo, so that only the way differs.
"""

from __future__ import annotations

import time
import wave
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emo.clip import Clip
from emo.extractors.detector import Box, detect, detection_size
from emo.extractors.faces import crop
from emo.extractors.sampling import moments, spread
from emo.views import AudioView, Encoder, FacesView, FrameView, View, ViewData

Frames = list[tuple[float, Image.Image]]


class Passes:
    """A pass per encoder over the clips; `encoder_seconds` gathers CPU of encoders and face detection."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.encoder_seconds = 0.0

    def run(self, encoders: list[Encoder], clips: list[Clip]) -> None:
        """Every clip through every encoder."""
        for encoder in encoders:
            for clip in clips:
                views = {view: self._view(view, clip) for view in encoder.needs}
                started = time.process_time()
                (arrays,) = encoder.encode([views])
                self.encoder_seconds += time.process_time() - started
                for name, array in arrays.items():
                    path = self._folder / f"{encoder.spec.encoder}-{name}"
                    path.mkdir(exist_ok=True)
                    np.save(path / f"{clip.clip_id}.npy", array)

    def _view(self, view: View, clip: Clip) -> ViewData:
        if isinstance(view, AudioView):
            return ViewData(array=self._sound(clip, view.rate), times=np.zeros(1))
        frames = every_frame(clip.path)
        if isinstance(view, FacesView):
            return self._faces(view, frames)
        assert isinstance(view, FrameView)
        _, picture = frames[0 if view.choice == "first" else len(frames) // 2]
        return ViewData(array=np.asarray(picture), times=np.zeros(1))

    def _sound(self, clip: Clip, rate: int) -> NDArray[np.float32]:
        path = self._folder / f"{clip.clip_id}.wav"
        to_wav(clip.path, path, rate)
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return samples.astype(np.float32) / 32768

    def _faces(self, view: FacesView, frames: Frames) -> ViewData:
        times = np.array([time for time, _ in frames])
        wanted = moments(view.sampling, 0.0, float(times[-1]))
        chosen = [frames[int(np.abs(times - moment).argmin())] for moment in wanted]
        looked = [chosen[index] for index in spread(len(chosen), view.detect)]
        boxes = [self._largest(picture) for _, picture in looked]
        edges = np.median([[b.left, b.top, b.right, b.bottom] for b in boxes if b is not None], axis=0)
        box = Box(*(float(edge) for edge in edges))
        faces = [crop(np.asarray(picture), box, view.margin, view.size) for _, picture in chosen]
        return ViewData(array=np.stack(faces), times=np.array(wanted))

    def _largest(self, picture: Image.Image) -> Box | None:
        small = np.asarray(picture.resize(detection_size(*picture.size), Image.Resampling.BILINEAR))
        started = time.process_time()
        boxes = detect(small)
        self.encoder_seconds += time.process_time() - started
        return boxes[0].scaled(picture.size[0] / small.shape[1]) if boxes else None


def every_frame(path: Path) -> Frames:
    """Times in seconds and pictures of the whole clip."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return [(float(frame.time), frame.to_image()) for frame in container.decode(video=0)]


def to_wav(media: Path, path: Path, rate: int) -> None:
    """The sound track as a mono wav file of 16 bits."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    with av.open(str(media)) as container, wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        for frame in (*container.decode(audio=0), None):
            for part in resampler.resample(frame):
                file.writeframes(part.to_ndarray().tobytes())
