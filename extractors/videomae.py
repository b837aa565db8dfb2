"""VideoMAE: sixteen faces in time to frame-level (8, D) and utterance-level (D,) features.

Source: Tong et al. 2022, arXiv 2203.12602. The class has no class token: 16 frames in tubelets of two give
8 x 14 x 14 tokens. Knows face views, no files, no store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from emo.canonical import Json
from emo.extractors import tiny
from emo.extractors.detector import DETECTOR_RECIPE
from emo.extractors.inference import FrozenModel, pretrained, to_numpy
from emo.extractors.mae import TINY_FACES
from emo.extractors.pixels import IMAGENET_MEAN, IMAGENET_STD, Triple, normalise
from emo.extractors.sources import TINY, Source
from emo.extractors.weights import choose, find_weights
from emo.records import Array
from emo.spec import ArrayLayout, FeatureSpec, Licence
from emo.views import FacesView, Views

if TYPE_CHECKING:
    import torch
    from torch import nn

RECIPE_VERSION = 1

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


PRESETS: dict[str, VideoMaePreset] = {
    "paper": VideoMaePreset(
        source=Source(
            licence=Licence(name="unknown", source="https://github.com/ZebangCheng/Emotion-LLaMA"),
            paper="arXiv 2406.11161 (temporal encoder of Emotion-LLaMA, trained on MER2023 faces)",
            note="The authors share these weights on a drive, not on the hub.",
            substitute=_SUBSTITUTE,
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
    tokens: torch.Tensor = model(pixels).last_hidden_state
    clips, count, dim = tokens.shape
    return tokens.reshape(clips, tubelets, count // tubelets, dim).mean(dim=2)


class VideoMae:
    """Faces (16, size, size, 3) to `frames` (8, D), one a tubelet, and `utterance` (D,), the mean of all.

    Making one raises CheckpointError where weights are missing.
    """

    def __init__(
        self,
        preset: str = "tiny",
        *,
        weights: str | os.PathLike[str] | None = None,
        faces: FacesView | None = None,
        device: str = "auto",
        precision: str = "float32",
    ) -> None:
        choose("videomae", PRESETS, preset)
        chosen = PRESETS[preset]
        found = find_weights("videomae", preset, chosen.source, weights)
        self._faces = faces or chosen.faces
        self._mean, self._std = chosen.mean, chosen.std
        self._tubelets = cast(int, found.config["num_frames"]) // cast(int, found.config["tubelet_size"])
        self._model = FrozenModel(
            lambda: _load(found.folder), device=device, precision=precision, small=found.folder is None
        )
        self.needs = frozenset({self._faces})
        self.spec = FeatureSpec(
            encoder="videomae",
            weights=found.digests,
            recipe={
                "faces": asdict(self._faces),
                "detector": DETECTOR_RECIPE,
                "mean": list(self._mean),
                "std": list(self._std),
                "frames": "mean over space of each tubelet",
                "utterance": "mean over tokens",
            },
            recipe_version=RECIPE_VERSION,
            arrays=_arrays(found.config),
            precision=precision,
            preset=found.preset,
            licence=found.licence,
        )

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """`frames` (8, D) and `utterance` (D,) of each clip, float32."""
        results: list[dict[str, Array]] = []
        with self._model.running() as model:
            for views in batch:
                pixels = normalise(views[self._faces].array, self._mean, self._std)[None]
                frames = to_numpy(tubelet_means(model, self._model.tensor(pixels), self._tubelets))[0]
                results.append({"frames": frames, "utterance": frames.mean(axis=0, dtype=np.float32)})
        return results

    def times(self, views: Views) -> dict[str, Json]:
        """The mean moment of each tubelet's faces."""
        moments = views[self._faces].times.reshape(self._tubelets, -1)
        return {"frames": {"times": moments.mean(axis=1).tolist()}}


def _arrays(config: Mapping[str, Json]) -> dict[str, ArrayLayout]:
    dim = cast(int, config["hidden_size"])
    return {
        "frames": ArrayLayout(kind="frames", dim=dim),
        "utterance": ArrayLayout(kind="utterance", dim=dim),
    }


def _load(folder: os.PathLike[str] | None) -> nn.Module:
    if folder is None:
        return tiny.load("videomae", build_tiny())
    from transformers import VideoMAEModel

    return pretrained(cast(Any, VideoMAEModel), os.fspath(folder))
