"""The canary clip: made of a formula, so that every machine has it, and what an encoder must give on it.

Each space keeps its encoder's output on this clip. A run that would add records computes it anew first and
stops where the two differ: the weights or the recipe are as recorded, but something else here is not.
Noise, a zone plate and a chirp, because errors in filters, crops and rates show on them. The sound is stereo
at 44.1 kHz and the faces lie in larger pictures, so that resampler and crop are those of real clips.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from emo.cache import Space
from emo.cache.canary import LARGEST_ERROR, LEAST_COSINE, difference
from emo.errors import StaleCache
from emo.extractors.aligned import SIDE
from emo.extractors.audio import Sound
from emo.extractors.augment import plain, with_augmented
from emo.extractors.container import Span
from emo.extractors.detector import Box
from emo.extractors.faces import crop, resized
from emo.views import AudioView, Encoder, FacesView, Plain, TextView, View, ViewData, ViewProblem

SECONDS = 2.0
RATE = 44_100
HEIGHT, WIDTH = 240, 320
FACE = Box(70.3, 21.8, 250.9, 197.2)
TEXT = "I never thought you would come! 我没想到你会来。"
FACES_OF_ALL = 8  # how many faces stand for the sampling `all`


def check_canary(encoder: Encoder, space: Space) -> None:
    """Store the encoder's output on the canary clip, or compare it with what is stored.

    StaleCache where they differ by more than 1e-2 of the largest value or below a cosine of 0.9999.
    """
    found = encoder.encode([canary_views(encoder.needs)])[0]
    stored = space.read_canary()
    if stored is None:
        space.write_canary(found)
        return
    for name, expected in stored.items():
        error, cosine = difference(expected, found[name])
        if error > LARGEST_ERROR or cosine < LEAST_COSINE:
            raise StaleCache(
                f"{space.name}: {name} of the canary clip differs from what this cache was made with: "
                f"error {error:.2g} (at most {LARGEST_ERROR:g}), cosine {cosine:.6f}. Nothing was written. "
                "Another version of a library computes other features: use the former one, or a new cache."
            )


def precision_error(one: Encoder, other: Encoder) -> str:
    """How far two encoders are apart on the canary clip, in words."""
    views = canary_views(one.needs)
    (first,), (second,) = one.encode([views]), other.encode([views])
    found = [difference(second[name], first[name]) for name in second]
    return f"error {max(error for error, _ in found):.2g}, cosine {min(cosine for _, cosine in found):.6f}"


def canary_views(needs: Collection[View]) -> dict[View, ViewData]:
    """The views of the canary clip, the same everywhere."""
    made: dict[View, ViewData | ViewProblem] = {plain(view): _view(plain(view)) for view in needs}
    found = with_augmented(made, [*needs], "canary")
    return {view: data for view, data in found.items() if isinstance(data, ViewData)}


def _view(view: Plain) -> ViewData:
    if isinstance(view, AudioView):
        return _heard(view)
    if isinstance(view, FacesView):
        numbers = [int(number) for number in view.sampling.partition(":")[2].split("x") if number]
        count = int(np.prod(numbers)) if numbers else FACES_OF_ALL
        pictures = (_picture(HEIGHT, WIDTH, number / count) for number in range(count))
        faces = np.stack([_face(picture, view) for picture in pictures])
        return ViewData(array=faces, times=np.linspace(0.0, SECONDS, count))
    if isinstance(view, TextView):
        return ViewData(array=np.array([TEXT]), times=np.zeros(0))
    return ViewData(array=_picture(HEIGHT, WIDTH, 0.0), times=np.array([SECONDS / 2]))


def _face(picture: NDArray[np.uint8], view: FacesView) -> NDArray[np.uint8]:
    if view.alignment == "openface":
        return resized(picture[:SIDE, :SIDE], view.size)
    return crop(picture, FACE, view.margin, view.size)


def _heard(view: AudioView) -> ViewData:
    """The sound as a clip's track is heard: channels averaged, at the rate of the view."""
    from av import AudioFrame

    frame = AudioFrame.from_ndarray(_sound(), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    sound = Sound(view, Span(start=0.0, end=np.inf), 0.0)
    sound.feed(frame)
    return sound.view()


def _sound() -> NDArray[np.float32]:
    """A chirp from 80 Hz to 12 kHz on the left, with quiet noise on both sides, (2, S).

    What is above 8 kHz must not be heard at 16 kHz: a poorer resampler folds it down.
    """
    time = np.arange(int(SECONDS * RATE)) / RATE
    chirp = np.sin(2 * np.pi * (80 * time + (12_000 - 80) * time**2 / (2 * SECONDS)))
    noise = np.random.default_rng(0).standard_normal((2, len(time)))
    return (np.stack([0.6 * chirp, 0.0 * chirp]) + 0.02 * noise).astype(np.float32)


def _picture(height: int, width: int, phase: float) -> NDArray[np.uint8]:
    """A zone plate whose rings move with `phase`, each colour a third of a ring apart, (H, W, 3)."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    rings = np.pi * (x**2 + y**2) * min(height, width) / 4
    colours = [np.cos(rings + 2 * np.pi * (phase + third / 3)) for third in range(3)]
    return np.round(127.5 + 127.5 * np.stack(colours, axis=-1)).astype(np.uint8)
