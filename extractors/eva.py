"""EVA: one whole frame to tokens (1 + N, D), class token first, then the patches row by row.

Source: Fang et al. 2022, arXiv 2211.07636; the `paper` preset is the vision tower of BLIP-2 and MiniGPT-v2
as Emotion-LLaMA runs it (minigpt4/models/eva_vit.py at commit 4ee28d2): 39 blocks at 448 pixels and an
identity LayerNorm of eps 1e-5 in the place of BLIP-2's trained one. Knows frame views, no files, no store.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np

from emo.canonical import Json
from emo.errors import ConfigError
from emo.extractors import tiny
from emo.extractors.faces import faces_recipe
from emo.extractors.inference import FrozenModel, pretrained, timm_model, to_numpy
from emo.extractors.peak import PEAK_FACES
from emo.extractors.pixels import CLIP_MEAN, CLIP_STD, normalise, squash
from emo.extractors.running import USUAL, Running
from emo.extractors.sources import TINY, Source
from emo.extractors.weights import Weights, choose, find_weights
from emo.records import Array
from emo.spec import ArrayLayout, FeatureSpec, Licence
from emo.views import FrameChoice, FrameView, Views

if TYPE_CHECKING:
    import torch
    from torch import nn

LnVision = Literal["after", "before"]
Norm = Literal["identity", "trained"]

RECIPE_VERSION = 2
MOST_FRAMES = 8  # frames in one forward pass
EVA02_PATCH = 14

TINY_CONFIG: dict[str, Json] = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 112,
    "patch_size": 56,
    # The class's default is 1e-10, which makes every token of a fresh model the same.
    "initializer_range": 0.02,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaPreset:
    """Weights, which frame they are shown at which size, and the LayerNorm behind the last block.

    `norm` `identity` is a LayerNorm without weights; `trained` is the one that came with the weights.
    """

    source: Source
    choice: FrameChoice
    side: int
    norm: Norm
    eps: float
    ln_vision: LnVision = "after"


# pool64 keeps 64 patch tokens, each the mean of a square of the grid; int8 stores a byte a value and a scale
# a token; 224 and 448 are the side of the picture.
VARIANTS: dict[str, Mapping[str, Any]] = {
    **{f"pool{kept}": {"kept": kept} for kept in (1, 4, 16, 64)},
    "int8": {"dtype": "int8"},
    "224": {"side": 224},
    "448": {"side": 448},
}

PRESETS: dict[str, EvaPreset] = {
    "paper": EvaPreset(
        source=Source(
            licence=Licence(name="MIT", source="https://github.com/baaivision/EVA/tree/master/EVA-01"),
            paper="arXiv 2406.11161 (global encoder of Emotion-LLaMA)",
            note=(
                "The weights are a file of the LAVIS project, eva_vit_g.pth in its folder BLIP2, not on "
                "the hub."
            ),
        ),
        choice="first",
        side=448,
        norm="identity",
        eps=1e-5,
    ),
    "base": EvaPreset(
        source=Source(
            repo="timm/eva02_base_patch14_224.mim_in22k",
            revision="b9c2df22a405c51ed1f3a495ade3135d77a35b61",
            licence=Licence(
                name="MIT", source="https://huggingface.co/timm/eva02_base_patch14_224.mim_in22k"
            ),
            paper="arXiv 2303.11331 (EVA-02, the small relative: nothing of EVA-g's family is fit for a CPU)",
        ),
        choice="middle",
        side=224,
        norm="trained",
        eps=1e-6,
    ),
    "tiny": EvaPreset(source=TINY, choice="peak", side=112, norm="trained", eps=1e-6),
}


def build_tiny() -> nn.Module:
    """The tiny preset's Blip2VisionModel with fresh weights."""
    from transformers import Blip2VisionConfig, Blip2VisionModel

    model: nn.Module = Blip2VisionModel(Blip2VisionConfig(**TINY_CONFIG))
    return model


def tokens_before_norm(model: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """Frames (B, 3, side, side), normalised, to tokens (B, 1 + N, D) behind the last block.

    Position embeddings of another grid are resampled bicubically, corners not aligned, as officially.
    """
    parts = cast(Any, model)
    if not hasattr(parts, "embeddings"):  # timm's EVA-02 keeps its LayerNorm for after pooling: fc_norm
        tokens: torch.Tensor = parts.forward_features(pixels)
        return tokens
    embedded = parts.embeddings(pixels, interpolate_pos_encoding=True)
    blocks: torch.Tensor = parts.encoder(inputs_embeds=embedded).last_hidden_state
    return blocks


def layer_norm(model: nn.Module, tokens: torch.Tensor, norm: Norm, eps: float) -> torch.Tensor:
    """ln_vision in float32: the model's trained one, or one without weights."""
    import torch

    trained = cast(Any, model).fc_norm if hasattr(model, "fc_norm") else cast(Any, model).post_layernorm
    weight, bias = (trained.weight, trained.bias) if norm == "trained" else (None, None)
    return torch.nn.functional.layer_norm(tokens.float(), tokens.shape[-1:], weight, bias, eps)


class Eva:
    """A frame (H, W, 3) to `tokens` (1 + N, D).

    `frame` chooses which frame (`first`, `middle`, `peak`), `ln_vision` whether tokens are taken behind or
    before the last LayerNorm, `side` the size that the frame is squashed to. `kept` patch tokens, each the
    mean of a square of the grid, make the feature compact, and so does the `dtype` int8. Making one raises
    CheckpointError where weights are missing, ConfigError for a grid or size that the model has not.
    """

    presets: ClassVar[Mapping[str, EvaPreset]] = PRESETS
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS

    def __init__(
        self,
        preset: str = "tiny",
        *,
        weights: str | os.PathLike[str] | None = None,
        frame: FrameChoice | None = None,
        ln_vision: LnVision | None = None,
        side: int | None = None,
        kept: int = 0,
        dtype: str = "float16",
        running: Running = USUAL,
    ) -> None:
        choose("eva", PRESETS, preset)
        chosen = PRESETS[preset]
        self._preset = chosen = chosen if side is None else replace(chosen, side=side)
        found = find_weights("eva", preset, chosen.source, weights)
        if "architecture" in found.config and chosen.side != PRESETS[preset].side:
            raise ConfigError(f"eva {preset} reads {PRESETS[preset].side} pixels and no other size.")
        layout = _layout(found.config, chosen.side)
        self._grid, self._kept = math.isqrt(layout.tokens - 1), kept
        if kept:
            layout = replace(layout, tokens=1 + _checked(kept, self._grid))
        self._view = FrameView(choice=frame or chosen.choice)
        self._ln_vision: LnVision = ln_vision or chosen.ln_vision
        self._model = FrozenModel(lambda: _load(found), running, small=found.folder is None)
        self.needs = frozenset({self._view})
        self.spec = FeatureSpec(
            encoder="eva",
            weights=found.digests,
            recipe=self._recipe(),
            recipe_version=RECIPE_VERSION,
            arrays={"tokens": replace(layout, dtype=dtype)},
            precision=running.precision,
            preset=found.preset,
            licence=found.licence,
        )

    def _recipe(self) -> dict[str, Json]:
        recipe: dict[str, Json] = {
            "frame": self._view.choice,
            "side": self._preset.side,
            "resize": "PIL bicubic, squashed to a square",
            "mean": list(CLIP_MEAN),
            "std": list(CLIP_STD),
            "ln_vision": self._ln_vision,
            "positions": "bicubic, align_corners False",
        }
        if self._ln_vision == "after":
            recipe |= {"norm": self._preset.norm, "eps": self._preset.eps}
        if self._view.choice == "peak":
            looked_at = faces_recipe(PEAK_FACES)
            recipe |= {"detector": looked_at["detector"], "peak_faces": looked_at["faces"]}
        if self._kept:
            recipe["kept"] = f"class token and {self._kept} means over squares of the grid"
        return recipe

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """`tokens` (1 + N, D) of each clip, float32."""
        frames = [squash(views[self._view].array, self._preset.side) for views in batch]
        results: list[dict[str, Array]] = []
        with self._model.running() as model:
            for at in range(0, len(frames), MOST_FRAMES):
                pixels = normalise(np.stack(frames[at : at + MOST_FRAMES]), CLIP_MEAN, CLIP_STD)
                tokens = tokens_before_norm(model, self._model.tensor(pixels))
                if self._ln_vision == "after":
                    tokens = layer_norm(model, tokens, self._preset.norm, self._preset.eps)
                if self._kept:
                    tokens = pooled_grid(tokens, self._grid, math.isqrt(self._kept))
                results += [{"tokens": clip} for clip in to_numpy(tokens)]
        return results

    def times(self, views: Views) -> dict[str, Json]:
        """The moment of the frame that all tokens are of."""
        return {"tokens": {"times": views[self._view].times.tolist()}}


def pooled_grid(tokens: torch.Tensor, grid: int, side: int) -> torch.Tensor:
    """Tokens (B, 1 + grid x grid, D) to (B, 1 + side x side, D): the class token, then means over squares."""
    import torch

    count, _, dim = tokens.shape
    step = grid // side
    squares = tokens[:, 1:].reshape(count, side, step, side, step, dim).mean(dim=(2, 4))
    return torch.cat([tokens[:, :1], squares.reshape(count, side * side, dim)], dim=1)


def _checked(kept: int, grid: int) -> int:
    side = math.isqrt(kept)
    if side * side != kept or grid % side:
        raise ConfigError(f"a grid of {grid} x {grid} patches cannot be pooled to {kept} squares.")
    return kept


def _layout(config: Mapping[str, Json], side: int) -> ArrayLayout:
    if "architecture" in config:  # timm
        arguments = cast("dict[str, int]", config.get("model_args") or {})
        patch, dim = arguments.get("patch_size", EVA02_PATCH), cast(int, config["num_features"])
    else:
        patch, dim = cast(int, config["patch_size"]), cast(int, config["hidden_size"])
    return ArrayLayout(kind="tokens", dim=dim, tokens=1 + (side // patch) ** 2)


def _load(found: Weights) -> nn.Module:
    if found.folder is None:
        return tiny.load("eva", build_tiny())
    if "architecture" in found.config:
        from timm.models.eva import checkpoint_filter_fn

        return timm_model(found.folder, found.config, checkpoint_filter_fn)
    from transformers import Blip2VisionModel

    return pretrained(Blip2VisionModel, os.fspath(found.folder))
