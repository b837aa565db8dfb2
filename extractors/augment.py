"""Augmented views: a clip's sound with noise, its pictures mirrored or blurred; features of them are specs of
their own.

What is drawn depends on the clip's id and the augmentation alone, so a clip has one noisy version whoever
makes it. For training, and for robustness runs, which say what was done to each clip; no other evaluation
reads any of it. Knows no storage.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from emo.canonical import Json
from emo.errors import ConfigError
from emo.records import Array
from emo.spec import FeatureSpec
from emo.views import (
    AudioView,
    AugmentedView,
    Encoder,
    FacesView,
    FrameView,
    Plain,
    TextView,
    View,
    ViewData,
    ViewProblem,
    Views,
)

RECIPE_VERSION = 1
LEAST_DB, MOST_DB = -20.0, 60.0
LEAST_BLUR, MOST_BLUR = 0.5, 56.0
BLUR_SIDE = 224  # a blur's pixels are those of a picture whose shorter side has so many


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """`noise` at `decibels` of signal to noise, `flip`, or `blur` by a Gaussian of that many `pixels`."""

    kind: Literal["noise", "flip", "blur"]
    decibels: float = 0.0
    pixels: float = 0.0

    def __str__(self) -> str:
        amount = {"noise": f"@{self.decibels:g}dB", "blur": f"@{self.pixels:g}px", "flip": ""}
        return f"{self.kind}{amount[self.kind]}"

    def changes(self, view: View) -> bool:
        """Whether the view is of what this changes: noise the sound, the others the pictures."""
        return isinstance(view, AudioView if self.kind == "noise" else FacesView | FrameView)


def parse_augmentation(name: str) -> Augmentation:
    """The augmentation written as `noise@10dB`, `blur@4px` or `flip`; ConfigError where it is none."""
    if name == "flip":
        return Augmentation(kind="flip")
    noise = re.fullmatch(r"noise@([+-]?\d+(?:\.\d+)?)dB", name)
    if noise and LEAST_DB <= float(noise[1]) <= MOST_DB:
        return Augmentation(kind="noise", decibels=float(noise[1]) + 0.0)
    blur = re.fullmatch(r"blur@(\d+(?:\.\d+)?)px", name)
    if blur and LEAST_BLUR <= float(blur[1]) <= MOST_BLUR:
        return Augmentation(kind="blur", pixels=float(blur[1]))
    raise ConfigError(
        f"unknown view {name!r}. Known: noise@<decibels>dB ({LEAST_DB:g} to {MOST_DB:g}), such as "
        f"noise@10dB, blur@<pixels>px ({LEAST_BLUR:g} to {MOST_BLUR:g}), such as blur@4px, and flip."
    )


class Augmented:
    """An encoder that sees augmented views; its spec names the augmentation and the parent's fingerprint.

    ConfigError where the encoder reads nothing that the augmentation changes.
    """

    def __init__(self, parent: Encoder, augmentation: Augmentation) -> None:
        name = str(augmentation)
        self._parent = parent
        self._views: dict[View, View] = {view: _view(view, augmentation) for view in parent.needs}
        if self._views.keys() == set(self._views.values()):
            raise ConfigError(f"{parent.spec.encoder} reads nothing that {name} changes.")
        self.needs = frozenset(self._views.values())
        self.spec: FeatureSpec = replace(
            parent.spec,
            recipe={
                **parent.spec.recipe,
                "augment": name,
                "augment_version": RECIPE_VERSION,
                "parent": parent.spec.fingerprint,
            },
            preset=f"{parent.spec.preset}+{name}",
        )

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """As the parent, of the augmented views."""
        return self._parent.encode([self._seen(views) for views in batch])

    def times(self, views: Views) -> dict[str, Json]:
        """As the parent's: an augmentation moves nothing in time."""
        return self._parent.times(self._seen(views))

    def _seen(self, views: Views) -> Views:
        return {asked: views[given] for asked, given in self._views.items()}


def _view(view: View, augmentation: Augmentation) -> View:
    if isinstance(view, AugmentedView):
        raise ConfigError("an augmented view is not augmented again.")
    if isinstance(view, TextView) or not augmentation.changes(view):
        return view
    return AugmentedView(view, str(augmentation))


def plain(view: View) -> Plain:
    """The view itself, or what it is an augmentation of."""
    return view.of if isinstance(view, AugmentedView) else view


def with_augmented(
    found: Mapping[View, ViewData | ViewProblem], views: Sequence[View], clip_id: str
) -> dict[View, ViewData | ViewProblem]:
    """Each of `views`, made from the plain ones; what could not be had stays a problem."""
    return {view: _made(found[plain(view)], view, clip_id) for view in views}


def _made(found: ViewData | ViewProblem, view: View, clip_id: str) -> ViewData | ViewProblem:
    if isinstance(found, ViewProblem) or not isinstance(view, AugmentedView):
        return found
    augmentation = parse_augmentation(view.augment)
    if augmentation.kind == "flip":
        changed: Array = np.ascontiguousarray(np.flip(found.array, axis=-2))
    elif augmentation.kind == "blur":
        changed = blurred(found.array, augmentation.pixels)
    else:
        changed = noisy(found.array, augmentation.decibels, generator_of(clip_id, view.augment))
    return replace(found, array=changed, meta={**found.meta, "augment": view.augment})


def noisy(sound: NDArray[np.float32], decibels: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """The sound (S,) with white noise at exactly this ratio of mean powers; silence stays silence."""
    noise = rng.standard_normal(len(sound))
    power, noise_power = np.mean(np.square(sound, dtype=np.float64)), np.mean(np.square(noise))
    scale = np.sqrt(power / noise_power / 10 ** (decibels / 10))
    return np.asarray(sound + scale * noise, dtype=np.float32)


def blurred(pictures: Array, pixels: float) -> NDArray[np.uint8]:
    """Pictures uint8 (..., H, W, 3) out of focus: a Gaussian whose standard deviation is `pixels` where the
    shorter side has BLUR_SIDE. Beyond the edge the last pixel goes on."""
    deviation = pixels * min(pictures.shape[-3:-1]) / BLUR_SIDE
    every = (*[0.0] * (pictures.ndim - 3), deviation, deviation, 0.0)
    soft = gaussian_filter(pictures.astype(np.float32), every, mode="nearest")
    return np.asarray(np.clip(np.rint(soft), 0, 255), dtype=np.uint8)


def generator_of(clip_id: str, augment: str) -> np.random.Generator:
    """Random numbers that belong to one clip and one augmentation."""
    digest = hashlib.sha256(f"{augment}\n{clip_id}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
