"""MAE: faces to frame-level (F, D) and utterance-level (D,) features, by timm's Vision Transformer.

Source: He et al. 2021, arXiv 2111.06377. timm and not transformers: `ViTMAEModel` shuffles the patches even
when it masks none. Knows weights; how they run is `stills`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from emo.canonical import Json
from emo.extractors import tiny
from emo.extractors.inference import timm_model
from emo.extractors.sources import TINY, Source
from emo.extractors.stills import Pooling, Shape, StillEncoder, StillFamily, StillPreset, pooled
from emo.extractors.weights import Weights
from emo.spec import Licence
from emo.views import FacesView

if TYPE_CHECKING:
    import torch
    from torch import nn

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


BLOCKS = {"base": 12, "large": 24, "huge": 32}  # of timm's vit_<size>_...

PRESETS: dict[str, StillPreset] = {
    "paper": StillPreset(
        source=Source(
            licence=Licence(name="unknown", source="https://github.com/ZebangCheng/Emotion-LLaMA"),
            paper="arXiv 2406.11161 (local encoder of Emotion-LLaMA, trained on MER2023 faces)",
            note="The authors share these weights on a drive, not on the hub.",
            substitute=_SUBSTITUTE,
            aligned=True,
        ),
        faces=FacesView(sampling="all", size=224, box="tracked", margin=0.1),
    ),
    "base": StillPreset(
        source=Source(
            repo="timm/vit_base_patch16_224.mae",
            licence=Licence(
                name="CC-BY-NC-4.0", source="https://huggingface.co/timm/vit_base_patch16_224.mae"
            ),
            paper="arXiv 2111.06377",
        ),
        faces=FacesView(sampling="uniform:16", size=224, box="tracked", margin=0.1, detect=4),
    ),
    "tiny": StillPreset(source=TINY, faces=TINY_FACES, pooling="mean"),
}


def build_tiny() -> nn.Module:
    """The tiny preset's VisionTransformer with fresh weights."""
    from timm.models.vision_transformer import VisionTransformer

    model: nn.Module = VisionTransformer(**TINY_CONFIG, num_classes=0, global_pool="", fc_norm=False)
    return model


def states(model: nn.Module, pixels: torch.Tensor, every: bool) -> Sequence[torch.Tensor]:
    """Faces (F, 3, size, size), normalised, to tokens (F, 1 + N, D) of each block (state 0 stands for the
    embeddings, which timm does not give), the last behind the norm; without `every` that one alone."""
    import torch

    parts = cast(Any, model)
    if not every:
        return [parts.forward_features(pixels)]
    last, blocks = parts.forward_intermediates(
        pixels, return_prefix_tokens=True, norm=False, output_fmt="NLC"
    )
    tokens = [torch.cat([prefix, patches], dim=1) for patches, prefix in blocks]
    return [last.new_empty(0), *tokens[:-1], last]


def pool(model: nn.Module, pixels: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Faces (F, 3, size, size), normalised, to features (F, D)."""
    return pooled(states(model, pixels, False)[-1], pooling, 1)


def _shape(config: Mapping[str, Json]) -> Shape:
    told = cast("Mapping[str, int]", config.get("model_args") or config)
    size = str(config.get("architecture", "")).split("_")[1:2]
    depth = told["depth"] if "depth" in told else BLOCKS.get("".join(size))
    return Shape(dim=cast(int, config.get("embed_dim") or config.get("num_features")), depth=depth, lowest=1)


def _load(found: Weights) -> nn.Module:
    if found.folder is None:
        return tiny.load("mae", build_tiny())
    from timm.models.vision_transformer import checkpoint_filter_fn

    return timm_model(found.folder, found.config, checkpoint_filter_fn, global_pool="", fc_norm=False)


FAMILY = StillFamily(
    name="mae", presets=PRESETS, shape=_shape, load=_load, states=states, prefix=lambda model: 1
)


class Mae(StillEncoder):
    """MAE. See StillEncoder."""

    family = FAMILY
