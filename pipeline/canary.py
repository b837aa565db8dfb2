"""The canary clip: made of a formula, so that every machine has it, and what an encoder must give on it.

Each space keeps its encoder's output on this clip. A run that would add records computes it anew first and
stops where the two differ: the weights or the recipe are as recorded, but something else here is not.
Noise, a zone plate and a chirp, because errors in filters, crops and rates show on them.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from emo.cache import Space
from emo.cache.canary import LARGEST_ERROR, LEAST_COSINE, difference
from emo.errors import StaleCache
from emo.extractors.augment import plain, with_augmented
from emo.views import AudioView, Encoder, FacesView, Plain, View, ViewData

SECONDS = 2.0
HEIGHT, WIDTH = 240, 320
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


def canary_views(needs: Collection[View]) -> dict[View, ViewData]:
    """The views of the canary clip, the same everywhere."""
    made = {plain(view): _view(plain(view)) for view in needs}
    found = with_augmented(made, [*needs], "canary")
    return {view: data for view, data in found.items() if isinstance(data, ViewData)}


def _view(view: Plain) -> ViewData:
    if isinstance(view, AudioView):
        return ViewData(array=_sound(view.rate), times=np.zeros(1))
    if isinstance(view, FacesView):
        numbers = [int(number) for number in view.sampling.partition(":")[2].split("x") if number]
        count = int(np.prod(numbers)) if numbers else FACES_OF_ALL
        faces = np.stack([_picture(view.size, view.size, number / count) for number in range(count)])
        return ViewData(array=faces, times=np.linspace(0.0, SECONDS, count))
    return ViewData(array=_picture(HEIGHT, WIDTH, 0.0), times=np.array([SECONDS / 2]))


def _sound(rate: int) -> NDArray[np.float32]:
    """A chirp from 80 Hz to 4 kHz over quiet noise, (S,)."""
    time = np.arange(int(SECONDS * rate)) / rate
    chirp = np.sin(2 * np.pi * (80 * time + (4000 - 80) * time**2 / (2 * SECONDS)))
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.3 * chirp + 0.02 * noise).astype(np.float32)


def _picture(height: int, width: int, phase: float) -> NDArray[np.uint8]:
    """A zone plate whose rings move with `phase`, each colour a third of a ring apart, (H, W, 3)."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    rings = np.pi * (x**2 + y**2) * min(height, width) / 4
    colours = [np.cos(rings + 2 * np.pi * (phase + third / 3)) for third in range(3)]
    return np.round(127.5 + 127.5 * np.stack(colours, axis=-1)).astype(np.uint8)
