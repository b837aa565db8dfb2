"""VideoMAE: sixteen faces in time to frame-level (8, D) and utterance-level (D,) features.

Source: Tong et al. 2022, arXiv 2203.12602. The class has no class token: 16 frames in tubelets of two give
8 x 14 x 14 tokens. Knows face views, no files, no store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from emo.canonical import Json
from emo.extractors import layers as hidden
from emo.extractors import tiny
from emo.extractors.faces import faces_recipe
from emo.extractors.inference import FrozenModel, pretrained, to_numpy
from emo.extractors.mae import TINY_FACES
from emo.extractors.pixels import IMAGENET_MEAN, IMAGENET_STD, Triple, normalise
from emo.extractors.running import USUAL, Running
from emo.extractors.sources import TINY, Source
from emo.extractors.weights import choose, find_weights
from emo.records import Array
from emo.spec import FeatureSpec, Licence
from emo.views import FacesView, Views

if TYPE_CHECKING:
    import torch
    from torch import nn

RECIPE_VERSION = 2

TINY_CONFIG: dict[str, Json] = {
    "image_size": 96,
    "patch_size": 48,
    "num_frames": 16,
    "tubelet_size": 2,
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "use_mean_pooling": False,
}
_SUBSTITUTE = Source(
    repo="MCG-NJU/videomae-large",
    licence=Licence(name="CC-BY-NC-4.0", source="https://huggingface.co/MCG-NJU/videomae-large"),
    paper="arXiv 2203.12602",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoMaePreset:
    """Weights and the faces they are shown."""

    source: Source
    faces: FacesView
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD


# Windows of as many faces in a row as the model reads, each beginning half a window behind the one before.
VARIANTS: dict[str, Mapping[str, Any]] = {"windows": {"windows": True}}

PRESETS: dict[str, VideoMaePreset] = {
    "paper": VideoMaePreset(
        source=Source(
            licence=Licence(name="unknown", source="https://github.com/ZebangCheng/Emotion-LLaMA"),
            paper="arXiv 2406.11161 (temporal encoder of Emotion-LLaMA, trained on MER2023 faces)",
            note="The authors share these weights on a drive, not on the hub.",
            substitute=_SUBSTITUTE,
            aligned=True,
        ),
        faces=FacesView(sampling="segments:8x2", size=224, box="tracked", margin=0.1),
    ),
    "base": VideoMaePreset(
        source=Source(
            repo="MCG-NJU/videomae-base",
            revision="dc740ceda42fce44faed2ea03c6d447db72f6af9",
            licence=Licence(name="CC-BY-NC-4.0", source="https://huggingface.co/MCG-NJU/videomae-base"),
            paper="arXiv 2203.12602",
        ),
        faces=FacesView(sampling="uniform:16", size=224, box="tracked", margin=0.1, detect=4),
    ),
    "tiny": VideoMaePreset(source=TINY, faces=TINY_FACES),
}


def build_tiny() -> nn.Module:
    """The tiny preset's VideoMAEModel with fresh weights."""
    from transformers import VideoMAEConfig, VideoMAEModel

    model: nn.Module = VideoMAEModel(VideoMAEConfig(**TINY_CONFIG))
    return model


def tubelet_means(model: nn.Module, pixels: torch.Tensor, tubelets: int) -> torch.Tensor:
    """Clips (B, 16, 3, size, size), normalised, to (B, tubelets, D): the mean over space of each tubelet."""
    return over_space(model(pixels).last_hidden_state, tubelets)


def over_space(tokens: torch.Tensor, tubelets: int) -> torch.Tensor:
    """Tokens (B, N, D), tubelet by tubelet, to (B, tubelets, D)."""
    clips, count, dim = tokens.shape
    return tokens.reshape(clips, tubelets, count // tubelets, dim).mean(dim=2)


def window_starts(faces: int, length: int) -> list[int]:
    """Where windows of `length` faces begin, half a window apart; the last is moved to end with the clip."""
    if faces <= length:
        return [0]
    last = faces - length
    return sorted({*range(0, last, max(1, length // 2)), last})


class VideoMae:
    """Faces (16, size, size, 3) to `frames` (8, D), one a tubelet, and `utterance` (D,), the mean of all.

    `windows` slides over all faces of the clip instead: `frames` (W, D) are the windows' means and
    `utterance` is theirs; a clip with fewer faces than a window repeats its last one. `layers` gives one
    feature a layer, as `frames@6`. Making one raises CheckpointError where weights are missing.
    """

    presets: ClassVar[Mapping[str, VideoMaePreset]] = PRESETS
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS

    def __init__(
        self,
        preset: str = "tiny",
        *,
        weights: str | os.PathLike[str] | None = None,
        faces: FacesView | None = None,
        windows: bool = False,
        layers: Sequence[int] = (),
        running: Running = USUAL,
    ) -> None:
        choose("videomae", PRESETS, preset)
        chosen = PRESETS[preset]
        found = find_weights("videomae", preset, chosen.source, weights)
        self._faces = faces or chosen.faces
        self._windows = windows
        if windows:
            self._faces = replace(self._faces, sampling="all", box="tracked", detect=0)
        self._mean, self._std = chosen.mean, chosen.std
        self._length = cast(int, found.config["num_frames"])
        self._tubelets = self._length // cast(int, found.config["tubelet_size"])
        depth = cast(int, found.config["num_hidden_layers"])
        self._parts = hidden.several(layers, depth, "videomae") if layers else hidden.last(-1)
        self._model = FrozenModel(lambda: _load(found.folder), running, small=found.folder is None)
        self.needs = frozenset({self._faces})
        self.spec = FeatureSpec(
            encoder="videomae",
            weights=found.digests,
            recipe=self._recipe(),
            recipe_version=RECIPE_VERSION,
            arrays=hidden.frame_layouts(cast(int, found.config["hidden_size"]), self._parts),
            precision=running.precision,
            preset=found.preset,
            licence=found.licence,
        )

    def _recipe(self) -> dict[str, Json]:
        recipe: dict[str, Json] = {
            **faces_recipe(self._faces),
            "mean": list(self._mean),
            "std": list(self._std),
            "frames": "mean over space of each tubelet",
            "utterance": "mean over tokens",
        }
        if self._windows:
            recipe |= {
                "windows": f"{self._length} faces in a row, half a window apart, the last ends with the clip",
                "frames": "mean over tokens of each window",
                "utterance": "mean over windows",
            }
        if "" not in self._parts:
            recipe["layers"] = [layer for (layer,) in self._parts.values()]
        return recipe

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """`frames` (8, D), or (W, D) of windows, and `utterance` (D,) of each clip and layer, float32."""
        results: list[dict[str, Array]] = []
        with self._model.running() as model:
            for views in batch:
                seen = [self._features(model, faces) for faces in self._shown(views[self._faces].array)]
                features = [np.concatenate(part) for part in zip(*seen, strict=True)]
                results.append(hidden.with_means(features, self._parts))
        return results

    def _shown(self, faces: Array) -> list[Array]:
        """What the model sees of a clip, each (16, size, size, 3)."""
        if not self._windows:
            return [faces]
        missing = max(0, self._length - len(faces))
        faces = np.concatenate([faces, np.repeat(faces[-1:], missing, axis=0)])
        return [faces[at : at + self._length] for at in window_starts(len(faces), self._length)]

    def _features(self, model: nn.Module, faces: Array) -> list[Array]:
        """(8, D), or (1, D) of a window, of each part."""
        pixels = self._model.tensor(normalise(faces, self._mean, self._std)[None])
        several = "" not in self._parts
        output = model(pixels, output_hidden_states=several)
        before = output.hidden_states[:-1] if several else ()
        found = [
            over_space(tokens, self._tubelets)[0]
            for tokens in hidden.picked([*before, output.last_hidden_state], self._parts)
        ]
        if self._windows:
            found = [tubelets.mean(dim=0, keepdim=True) for tubelets in found]
        return [to_numpy(one) for one in found]

    def times(self, views: Views) -> dict[str, Json]:
        """The mean moment of each tubelet's faces, or of each window's."""
        moments = views[self._faces].times
        if self._windows:
            starts = window_starts(len(moments), self._length)
            middles: list[Json] = [float(moments[at : at + self._length].mean()) for at in starts]
        else:
            middles = moments.reshape(self._tubelets, -1).mean(axis=1).tolist()
        return {f"frames{ending}": {"times": middles} for ending in self._parts}


def _load(folder: os.PathLike[str] | None) -> nn.Module:
    if folder is None:
        return tiny.load("videomae", build_tiny())
    from transformers import VideoMAEModel

    return pretrained(cast(Any, VideoMAEModel), os.fspath(folder))
