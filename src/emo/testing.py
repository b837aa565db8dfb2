"""What other packages test their encoders with: a contract suite, and small clips made by code.

Write `class TestMine(EncoderTests)` with an `encoder` fixture and pytest runs the contract over it. Knows no
encoder of emo's own; never imported by the library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emo.records import Array, why_unusable
from emo.spec import FeatureSpec
from emo.views import AudioView, AugmentedView, Encoder, FacesView, TextView, View, ViewData, Views

FRAME_RATE = 25
SOUND_RATE = 16_000
TICKS = 1000  # a second of a variable rate
CONTAINERS = {".mkv": "matroska"}
WORDS = ("no", "wonder", "you", "never", "came", "back", "真", "的", "happy", "afraid", "of", "it")
SAME = 1e-5  # batches may differ from single clips by this much, relative to a feature's own size


class EncoderTests:
    """The contract of an Encoder. Subclasses give a fixture `encoder`, ready to encode.

    `views_of` makes what the encoder asks for out of noise; override it where noise is no fair input.
    """

    def views_of(self, encoder: Encoder, seed: int, seconds: float = 1.0) -> Views:
        """Views of a made-up clip of `seconds`, different for each seed."""
        generator = np.random.default_rng(seed)
        return {view: noise_view(view, generator, seconds) for view in encoder.needs}

    def test_spec_survives_json(self, encoder: Encoder) -> None:
        """The spec that the cache writes down is the spec that it reads."""
        again = FeatureSpec.from_json(encoder.spec.to_json())
        assert again.fingerprint == encoder.spec.fingerprint

    def test_weights_are_named_by_their_digests(self, encoder: Encoder) -> None:
        """Every weight file is in the spec with 64 hex digits."""
        assert encoder.spec.weights
        assert all(len(bytes.fromhex(digest)) == 32 for digest in encoder.spec.weights.values())

    def test_arrays_are_as_the_spec_says(self, encoder: Encoder) -> None:
        """Names, shapes and float32."""
        (arrays,) = encoder.encode([self.views_of(encoder, seed=0)])
        assert set(arrays) == set(encoder.spec.arrays)
        for name, layout in encoder.spec.arrays.items():
            array = arrays[name]
            assert array.dtype == np.float32, name
            assert array.shape[-1] == layout.dim, name
            assert array.ndim == (1 if layout.kind == "utterance" else 2), name
            if layout.kind == "tokens":
                assert array.shape[0] == layout.tokens, name

    def test_every_row_in_time_has_its_moment(self, encoder: Encoder) -> None:
        """`times` speaks of as many rows as there are, or gives the law they follow."""
        views = self.views_of(encoder, seed=0)
        (arrays,) = encoder.encode([views])
        for name, noted in encoder.times(views).items():
            assert isinstance(noted, dict)
            if "times" in noted and encoder.spec.arrays[name].kind == "frames":
                assert isinstance(noted["times"], list)
                assert len(noted["times"]) == len(arrays[name])
            elif "times" not in noted:
                assert set(noted) == {"t0", "dt"}

    def test_values_are_features(self, encoder: Encoder) -> None:
        """No NaN, no Inf, no row of zeros, and not the same for every clip."""
        first, second = encoder.encode([self.views_of(encoder, seed=seed) for seed in (0, 1)])
        for name, array in first.items():
            assert why_unusable(array) is None, name
            assert array.shape != second[name].shape or np.abs(array - second[name]).max() > SAME, name

    def test_encoding_twice_gives_the_same(self, encoder: Encoder) -> None:
        """Equal inputs, equal bits."""
        views = self.views_of(encoder, seed=2)
        (first,), (second,) = encoder.encode([views]), encoder.encode([views])
        for name, array in first.items():
            np.testing.assert_array_equal(array, second[name], err_msg=name)

    def test_a_batch_gives_what_single_clips_give(self, encoder: Encoder) -> None:
        """Clips of different length do not see each other."""
        clips = [
            self.views_of(encoder, seed=seed, seconds=seconds)
            for seed, seconds in enumerate((1.0, 0.93, 2.1))
        ]
        together = encoder.encode(clips)
        for clip, arrays in zip(clips, together, strict=True):
            assert_same_arrays(encoder.encode([clip])[0], arrays)

    def test_an_empty_batch_gives_nothing(self, encoder: Encoder) -> None:
        """No clips, no arrays."""
        assert encoder.encode([]) == []


def assert_same_arrays(expected: dict[str, Array], found: dict[str, Array]) -> None:
    """Equal names, shapes, and values to SAME of each array's own size."""
    assert set(expected) == set(found)
    for name, array in expected.items():
        assert array.shape == found[name].shape, name
        scale = max(1.0, float(np.abs(array).max()))
        assert np.abs(array - found[name]).max() <= SAME * scale, name


def noise_view(view: View, generator: np.random.Generator, seconds: float) -> ViewData:
    """A view of nothing in particular, of the right shape and type."""
    if isinstance(view, AugmentedView):
        view = view.of
    if isinstance(view, AudioView):
        sound = 0.1 * generator.standard_normal(int(seconds * view.rate))
        return ViewData(array=sound.astype(np.float32), times=np.zeros(1))
    if isinstance(view, TextView):
        words = [WORDS[number] for number in generator.integers(0, len(WORDS), max(1, round(5 * seconds)))]
        return ViewData(array=np.array([" ".join(words)]), times=np.zeros(0))
    if isinstance(view, FacesView):
        count = 16 if view.sampling == "all" else _count(view.sampling)
        shape: tuple[int, ...] = (count, view.size, view.size, 3)
    else:
        count, shape = 1, (120, 160, 3)
    pictures = generator.integers(0, 256, shape, dtype=np.uint8)
    return ViewData(array=pictures, times=np.linspace(0, seconds, count, endpoint=False))


def _count(sampling: str) -> int:
    numbers = [int(number) for number in sampling.partition(":")[2].split("x")]
    return int(np.prod(numbers))


def drawn_face(
    width: int = 160,
    height: int = 120,
    *,
    centre: tuple[float, float] = (0.5, 0.5),
    mouth: float = 0.2,
    size: float = 0.62,
) -> NDArray[np.uint8]:
    """A simple face (H, W, 3) that face detectors find. `centre` and `size` are shares of the picture,
    `mouth` how far it is open (0 to 1)."""
    from PIL import Image, ImageDraw, ImageFilter

    picture = Image.new("RGB", (width, height), (70, 90, 110))
    draw = ImageDraw.Draw(picture)
    x, y, half = centre[0] * width, centre[1] * height, size * height / 2

    def ellipse(dx: float, dy: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        box = (x + (dx - rx) * half, y + (dy - ry) * half, x + (dx + rx) * half, y + (dy + ry) * half)
        draw.ellipse(box, fill=colour)

    ellipse(0, -0.18, 0.86, 1.0, (45, 30, 22))
    ellipse(0, 0.05, 0.74, 0.95, (214, 170, 140))
    for side in (-1, 1):
        ellipse(side * 0.3, -0.38, 0.17, 0.045, (60, 40, 30))
        ellipse(side * 0.3, -0.17, 0.14, 0.085, (245, 240, 235))
        ellipse(side * 0.3, -0.17, 0.07, 0.08, (40, 30, 30))
    ellipse(0, 0.13, 0.1, 0.22, (198, 150, 122))
    ellipse(0, 0.32, 0.14, 0.045, (150, 105, 85))
    ellipse(0, 0.6, 0.28, 0.05 + 0.14 * mouth, (150, 60, 60))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(max(0.6, half / 60))))


def tone(seconds: float = 1.0, rate: int = SOUND_RATE, hertz: float = 220.0) -> NDArray[np.float32]:
    """A quiet tone, (S,) float32."""
    return (0.2 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Film:
    """How pictures are written. `rotation` (degrees) becomes a display matrix."""

    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    rotation: int = 0
    options: dict[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "crf": "16"})


def write_clip(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]] | None,
    sound: NDArray[np.float32] | None,
    *,
    film: Film | None = None,
    frame_times: Sequence[float] | None = None,
    sound_rate: int = SOUND_RATE,
    container: str | None = None,
    live: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a media file; None leaves a stream out. `container` is by default what the name's ending says.

    `frame_times` (seconds) gives a variable rate; `live` writes what cannot be gone back to, so that the
    header names no duration.
    """
    import av

    with path.open("wb") as stream:
        target = _Pipe(stream) if live else stream
        kind = container or CONTAINERS.get(path.suffix, path.suffix[1:])
        with av.open(target, mode="w", format=kind, options=options or {}) as output:
            film = film or Film()
            video = _video_stream(output, pictures, film, frame_times) if pictures is not None else None
            audio = None
            if sound is not None:
                codec = "aac" if kind in ("mp4", "mov") else "pcm_s16le"
                audio = output.add_stream(codec, rate=sound_rate, layout="mono")
            for packet in _video_packets(video, pictures, frame_times) if video is not None else ():
                output.mux(packet)
            for packet in _audio_packets(audio, sound, sound_rate) if audio is not None else ():
                output.mux(packet)
    return path


class _Pipe:
    """A file that can only be written on."""

    def __init__(self, stream: BinaryIO) -> None:
        self.write = stream.write


def _video_stream(
    output: Any, pictures: Sequence[NDArray[np.uint8]], film: Film, frame_times: Sequence[float] | None
) -> Any:
    stream = output.add_stream(film.codec, rate=FRAME_RATE)
    stream.height, stream.width = pictures[0].shape[:2]
    stream.pix_fmt = film.pixel_format
    stream.options = film.options
    if frame_times is not None:
        stream.codec_context.time_base = Fraction(1, TICKS)
    if film.rotation:
        stream.set_display_rotation(film.rotation)
    return stream


def _video_packets(
    stream: Any, pictures: Sequence[NDArray[np.uint8]] | None, frame_times: Sequence[float] | None
) -> Iterator[Any]:
    import av

    for index, picture in enumerate(pictures or ()):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts = index if frame_times is None else round(frame_times[index] * TICKS)
        yield from stream.encode(frame.reformat(format=stream.pix_fmt))
    yield from stream.encode()


def _audio_packets(stream: Any, sound: NDArray[np.float32] | None, rate: int) -> Iterator[Any]:
    import av

    samples = (np.clip(sound if sound is not None else (), -1, 1) * 32767).astype(np.int16)[None]
    for at in range(0, samples.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[:, at : at + 1024]), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = rate, at
        yield from stream.encode(frame)
    yield from stream.encode()
