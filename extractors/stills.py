"""Encoders that look at each face of a clip by itself, or at one whole frame: what MAE, CLIP, DINOv2 and
timm's models share. Each is a StillFamily in a file of its own.

Knows views of pictures, no files, no store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, cast

import numpy as np

from emo.canonical import Json
from emo.errors import ConfigError
from emo.extractors import layers as hidden
from emo.extractors.faces import faces_recipe
from emo.extractors.inference import FrozenModel, to_numpy
from emo.extractors.pixels import IMAGENET_MEAN, IMAGENET_STD, Triple, normalise, squash
from emo.extractors.running import USUAL, Running
from emo.extractors.sources import Source
from emo.extractors.weights import Weights, choose, find_weights
from emo.records import Array
from emo.spec import FeatureSpec
from emo.views import FacesView, FrameView, Views

if TYPE_CHECKING:
    import torch
    from torch import nn

Pooling = Literal["class", "mean", "projected"]
States: TypeAlias = "Callable[[nn.Module, torch.Tensor, bool], Sequence[torch.Tensor]]"

RECIPE_VERSION = 2
MOST_FACES = 32  # faces in one forward pass
VARIANTS: dict[str, Mapping[str, Any]] = {
    "all": {"every": 1},
    **{f"every{step}": {"every": step} for step in range(2, 11)},
    "class": {"pooling": "class"},
    "mean": {"pooling": "mean"},
    "scene": {"scene": True},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StillPreset:
    """Weights, the faces they are shown, and how a face's tokens become one vector.

    `pooling` `class` is the class token behind the final norm, `mean` the mean of the patch tokens there,
    `projected` the class token in the space that the model shares with text. `mean` and `std` of the pixels
    hold where the weights' own configuration names none.
    """

    source: Source
    faces: FacesView
    pooling: Pooling = "class"
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What a configuration says of a model: width, number of blocks (None: its layers are not to be had), the
    lowest state there is, width of the space shared with text (0: there is none)."""

    dim: int
    depth: int | None
    lowest: int = 0
    projected: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class StillFamily:
    """A class of image models and its presets.

    `states` gives the tokens (F, N, D) of every hidden state, or of the last alone, behind the final norm;
    `prefix` says how many tokens stand before the patches.
    """

    name: str
    presets: Mapping[str, StillPreset]
    shape: Callable[[Mapping[str, Json]], Shape]
    load: Callable[[Weights], nn.Module]
    states: States
    prefix: Callable[[nn.Module], int]
    project: Callable[[nn.Module, torch.Tensor], torch.Tensor] | None = None


def pooled(tokens: torch.Tensor, pooling: Pooling, prefix: int) -> torch.Tensor:
    """Tokens (F, N, D) to (F, D)."""
    return tokens[:, prefix:].mean(dim=1) if pooling == "mean" else tokens[:, 0]


class StillEncoder:
    """Faces (F, size, size, 3) to `frames` (F, D), one a face, and `utterance` (D,), their mean.

    `every` n looks at every n-th of all the clip's faces; `scene` at the whole middle frame instead, squashed
    to a square of the faces' size, as EVA is shown it: F is 1 then. `layers` gives one feature a layer, as
    `frames@6`. Making one raises CheckpointError where weights are missing, ConfigError for what the model
    has not.
    """

    family: ClassVar[StillFamily]
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS

    def __init__(
        self,
        preset: str = "tiny",
        *,
        weights: str | os.PathLike[str] | None = None,
        pooling: Pooling | None = None,
        faces: FacesView | None = None,
        every: int = 0,
        scene: bool = False,
        layers: Sequence[int] = (),
        running: Running = USUAL,
    ) -> None:
        family = self.family
        choose(family.name, family.presets, preset)
        chosen = family.presets[preset]
        found = find_weights(family.name, preset, chosen.source, weights)
        if scene and (faces or every):
            raise ConfigError(f"{family.name}@scene looks at a whole frame: there are no faces to choose.")
        self._every = every
        self._side = chosen.faces.size
        self._view: FacesView | FrameView = FrameView() if scene else faces or chosen.faces
        if every and isinstance(self._view, FacesView):
            self._view = replace(self._view, sampling="all", box="tracked", detect=0)
        self._pooling: Pooling = pooling or chosen.pooling
        self._mean, self._std = _pixel_statistics(found, chosen)
        shape = family.shape(found.config)
        self._parts = self._chosen(shape, layers)
        self._model = FrozenModel(lambda: family.load(found), running, small=found.folder is None)
        self.needs = frozenset({self._view})
        self.spec = FeatureSpec(
            encoder=family.name,
            weights=found.digests,
            recipe=self._recipe(),
            recipe_version=RECIPE_VERSION,
            arrays=hidden.frame_layouts(
                shape.projected if self._pooling == "projected" else shape.dim, self._parts
            ),
            precision=running.precision,
            preset=found.preset,
            licence=found.licence,
        )

    def _chosen(self, shape: Shape, layers: Sequence[int]) -> hidden.Parts:
        name = self.family.name
        if self._pooling == "projected" and (not shape.projected or layers):
            raise ConfigError(f"{name}: only the last layer of a model with a projection can be projected.")
        if not layers:
            return hidden.last(-1)
        if shape.depth is None:
            raise ConfigError(f"{name} has no layers to choose from.")
        return hidden.several(layers, shape.depth, name, lowest=shape.lowest)

    def _recipe(self) -> dict[str, Json]:
        recipe: dict[str, Json] = {
            **self._shown(),
            "pooling": self._pooling,
            "mean": list(self._mean),
            "std": list(self._std),
        }
        if self._every:
            recipe["every"] = self._every
        if "" not in self._parts:
            recipe["layers"] = [layer for (layer,) in self._parts.values()]
        return recipe

    def _shown(self) -> dict[str, Json]:
        if isinstance(self._view, FacesView):
            return {**faces_recipe(self._view), "utterance": "mean over faces"}
        resize = "PIL bicubic, squashed to a square"
        return {"frame": self._view.choice, "side": self._side, "resize": resize, "utterance": "the frame's"}

    def _pictures(self, views: Views) -> Array:
        """What the model is shown of a clip, (F, side, side, 3)."""
        seen = views[self._view].array
        if isinstance(self._view, FrameView):
            return squash(seen, self._side)[None]
        return seen[:: self._every or 1]

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """`frames` (F, D) and `utterance` (D,) of each clip and layer, float32."""
        results: list[dict[str, Array]] = []
        with self._model.running() as model:
            for views in batch:
                pixels = normalise(self._pictures(views), self._mean, self._std)
                seen = [
                    self._features(model, self._model.tensor(pixels[at : at + MOST_FACES]))
                    for at in range(0, len(pixels), MOST_FACES)
                ]
                features = [np.concatenate(part) for part in zip(*seen, strict=True)]
                results.append(hidden.with_means(features, self._parts))
        return results

    def _features(self, model: nn.Module, pixels: torch.Tensor) -> list[Array]:
        """(F, D) of each part."""
        family = self.family
        states = family.states(model, pixels, "" not in self._parts)
        found = [
            pooled(tokens, self._pooling, family.prefix(model))
            for tokens in hidden.picked(states, self._parts)
        ]
        if self._pooling == "projected" and family.project is not None:
            found = [family.project(model, one) for one in found]
        return [to_numpy(one) for one in found]

    def times(self, views: Views) -> dict[str, Json]:
        """The moments of the pictures that are looked at."""
        moments = views[self._view].times[:: self._every or 1].tolist()
        return {f"frames{ending}": {"times": moments} for ending in self._parts}


def _pixel_statistics(found: Weights, chosen: StillPreset) -> tuple[Triple, Triple]:
    """Mean and std that the weights' own configuration names, else the preset's."""
    timm = found.config.get("pretrained_cfg")
    for told, mean, std in ((timm, "mean", "std"), (found.preprocessor, "image_mean", "image_std")):
        if isinstance(told, Mapping) and mean in told and std in told:
            return _triple(told[mean]), _triple(told[std])
    return chosen.mean, chosen.std


def _triple(told: Json) -> Triple:
    first, second, third = cast("list[float]", told)
    return first, second, third
