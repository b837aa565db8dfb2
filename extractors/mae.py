"""MAE: faces to frame-level (F, D) and utterance-level (D,) features, by timm's Vision Transformer.

Source: He et al. 2021, arXiv 2111.06377. timm and not transformers: `ViTMAEModel` shuffles the patches even
when it masks none. Knows face views, no files, no store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from emo.canonical import Json
from emo.extractors import tiny
from emo.extractors.detector import DETECTOR_RECIPE
from emo.extractors.inference import FrozenModel, timm_model, to_numpy
from emo.extractors.pixels import IMAGENET_MEAN, IMAGENET_STD, Triple, normalise
from emo.extractors.sources import TINY, Source
from emo.extractors.weights import choose, find_weights
from emo.records import Array
from emo.spec import ArrayLayout, FeatureSpec, Licence
from emo.views import FacesView, Views

if TYPE_CHECKING:
    import torch
    from torch import nn

Pooling = Literal["class", "mean"]

RECIPE_VERSION = 1
MOST_FACES = 32  # faces in one forward pass

TINY_CONFIG: dict[str, Json] = {
    "img_size": 96,
    "patch_size": 48,
    "embed_dim": 128,
    "depth": 3,
    "num_heads": 4,
    "mlp_ratio": 2.0,
}
TINY_FACES = FacesView(sampling="uniform:16", size=96, box="median", margin=0.1, detect=4)
_SUBSTITUTE = Source(
    repo="timm/vit_large_patch16_224.mae",
    licence=Licence(name="CC-BY-NC-4.0", source="https://huggingface.co/timm/vit_large_patch16_224.mae"),
    paper="arXiv 2111.06377",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MaePreset:
    """Weights, the faces they are shown, and how a face's tokens become one vector.

    `pooling` `class` is the class token after the final norm; `mean` the mean of the patch tokens there.
    """

    source: Source
    faces: FacesView
    pooling: Pooling = "class"
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD


PRESETS: dict[str, MaePreset] = {
    "paper": MaePreset(
        source=Source(
            licence=Licence(name="unknown", source="https://github.com/ZebangCheng/Emotion-LLaMA"),
            paper="arXiv 2406.11161 (local encoder of Emotion-LLaMA, trained on MER2023 faces)",
            note="The authors share these weights on a drive, not on the hub.",
            substitute=_SUBSTITUTE,
        ),
        faces=FacesView(sampling="all", size=224, box="tracked", margin=0.1),
    ),
    "base": MaePreset(
        source=Source(
            repo="timm/vit_base_patch16_224.mae",
            licence=Licence(
                name="CC-BY-NC-4.0", source="https://huggingface.co/timm/vit_base_patch16_224.mae"
            ),
            paper="arXiv 2111.06377",
        ),
        faces=FacesView(sampling="uniform:16", size=224, box="tracked", margin=0.1, detect=4),
    ),
    "tiny": MaePreset(source=TINY, faces=TINY_FACES, pooling="mean"),
}


def build_tiny() -> nn.Module:
    """The tiny preset's VisionTransformer with fresh weights."""
    from timm.models.vision_transformer import VisionTransformer

    model: nn.Module = VisionTransformer(**TINY_CONFIG, num_classes=0, global_pool="", fc_norm=False)
    return model


def pool(model: nn.Module, pixels: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Faces (F, 3, size, size), normalised, to features (F, D)."""
    tokens: torch.Tensor = cast(Any, model).forward_features(pixels)
    return tokens[:, 0] if pooling == "class" else tokens[:, 1:].mean(dim=1)


class Mae:
    """Faces (F, size, size, 3) to `frames` (F, D), one a face, and `utterance` (D,), their mean.

    Making one raises CheckpointError where weights are missing.
    """

    def __init__(
        self,
        preset: str = "tiny",
        *,
        weights: str | os.PathLike[str] | None = None,
        pooling: Pooling | None = None,
        faces: FacesView | None = None,
        device: str = "auto",
        precision: str = "float32",
    ) -> None:
        choose("mae", PRESETS, preset)
        chosen = PRESETS[preset]
        found = find_weights("mae", preset, chosen.source, weights)
        self._faces = faces or chosen.faces
        self._pooling: Pooling = pooling or chosen.pooling
        self._mean, self._std = _pixel_statistics(found.config, chosen)
        self._model = FrozenModel(
            lambda: _load(found.folder, found.config),
            device=device,
            precision=precision,
            small=found.folder is None,
        )
        self.needs = frozenset({self._faces})
        self.spec = FeatureSpec(
            encoder="mae",
            weights=found.digests,
            recipe={
                "faces": asdict(self._faces),
                "detector": DETECTOR_RECIPE,
                "pooling": self._pooling,
                "mean": list(self._mean),
                "std": list(self._std),
                "utterance": "mean over faces",
            },
            recipe_version=RECIPE_VERSION,
            arrays=_arrays(found.config),
            precision=precision,
            preset=found.preset,
            licence=found.licence,
        )

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """`frames` (F, D) and `utterance` (D,) of each clip, float32."""
        results: list[dict[str, Array]] = []
        with self._model.running() as model:
            for views in batch:
                pixels = normalise(views[self._faces].array, self._mean, self._std)
                parts = [pixels[at : at + MOST_FACES] for at in range(0, len(pixels), MOST_FACES)]
                frames = np.concatenate(
                    [to_numpy(pool(model, self._model.tensor(part), self._pooling)) for part in parts]
                )
                results.append({"frames": frames, "utterance": frames.mean(axis=0, dtype=np.float32)})
        return results

    def times(self, views: Views) -> dict[str, Json]:
        """The moments of the faces."""
        return {"frames": {"times": views[self._faces].times.tolist()}}


def _pixel_statistics(config: Mapping[str, Json], chosen: MaePreset) -> tuple[Triple, Triple]:
    """Mean and std that the weights' own config names, else the preset's."""
    told = config.get("pretrained_cfg")
    if not isinstance(told, dict) or "mean" not in told or "std" not in told:
        return chosen.mean, chosen.std
    mean, std = (cast("list[float]", told[key]) for key in ("mean", "std"))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def _arrays(config: Mapping[str, Json]) -> dict[str, ArrayLayout]:
    dim = cast(int, config.get("embed_dim") or config.get("num_features"))
    return {
        "frames": ArrayLayout(kind="frames", dim=dim),
        "utterance": ArrayLayout(kind="utterance", dim=dim),
    }


def _load(folder: os.PathLike[str] | None, config: Mapping[str, Json]) -> nn.Module:
    if folder is None:
        return tiny.load("mae", build_tiny())
    from timm.models.vision_transformer import checkpoint_filter_fn

    return timm_model(folder, config, checkpoint_filter_fn, global_pool="", fc_norm=False)
