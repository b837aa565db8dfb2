"""Image models of transformers as StillFamilies: CLIP's vision tower, DINOv2, ViT, DeiT.

Knows classes of transformers, no weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from emo.canonical import Json
from emo.extractors.inference import pretrained
from emo.extractors.random_weights import fill
from emo.extractors.stills import Shape, StillFamily, StillPreset
from emo.extractors.weights import Weights

if TYPE_CHECKING:
    import torch
    from torch import nn

POOLER = frozenset({"pooler.dense.weight", "pooler.dense.bias"})  # nothing here reads it
MASK = "embeddings.mask_token"  # of training


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of transformers: the tokens before its patches, and what its configuration leaves out as usual
    (a configuration lists only what differs from the class's own defaults)."""

    model_class: str
    prefix: int = 1
    dim: int = 768
    depth: int = 12
    side: int = 224


KINDS: dict[str, Kind] = {
    "clip": Kind("CLIPVisionModelWithProjection"),
    "clip_vision_model": Kind("CLIPVisionModelWithProjection"),
    "dinov2": Kind("Dinov2Model"),
    "dinov2_with_registers": Kind("Dinov2WithRegistersModel"),
    "vit": Kind("ViTModel"),
    "deit": Kind("DeiTModel", prefix=2),
}


def family(kind: str, name: str, presets: Mapping[str, StillPreset]) -> StillFamily:
    """The StillFamily of a `model_type` of KINDS."""
    clip = kind.startswith("clip")
    return StillFamily(
        name=name,
        presets=presets,
        shape=lambda config: _shape(KINDS[kind], config),
        load=_loader(KINDS[kind]),
        states=_clip_states if clip else _states,
        prefix=lambda model: _prefix(KINDS[kind], model),
        project=_project if clip else None,
    )


def side(kind: str, config: Mapping[str, Json], preprocessor: Mapping[str, Json]) -> int:
    """The side of the pictures that the weights were trained on, by their own configuration."""
    for told in (preprocessor.get("crop_size"), preprocessor.get("size")):
        if isinstance(told, int):
            return told
        if isinstance(told, Mapping) and "height" in told:
            return cast(int, told["height"])
    return cast(int, _vision(config).get("image_size", KINDS[kind].side))


def _vision(config: Mapping[str, Json]) -> Mapping[str, Json]:
    part = config.get("vision_config")
    return part if isinstance(part, Mapping) else config


def _shape(kind: Kind, config: Mapping[str, Json]) -> Shape:
    vision = _vision(config)
    shared = config.get("projection_dim") or vision.get("projection_dim") or 512
    return Shape(
        dim=cast(int, vision.get("hidden_size", kind.dim)),
        depth=cast(int, vision.get("num_hidden_layers", kind.depth)),
        lowest=1,  # in state 0 the class token is the same for every picture
        projected=cast(int, shared) if kind.model_class.startswith("CLIP") else 0,
    )


def _loader(kind: Kind) -> Callable[[Weights], nn.Module]:
    def load(found: Weights) -> nn.Module:
        import transformers

        model_class = getattr(transformers, kind.model_class)
        if found.folder is None:
            return fill(model_class(model_class.config_class(**found.config)))
        return pretrained(model_class, os.fspath(found.folder), optional=POOLER | {MASK})

    return load


def _prefix(kind: Kind, model: nn.Module) -> int:
    registers: int = getattr(cast(Any, model).config, "num_register_tokens", 0)
    return kind.prefix + registers


def _states(model: nn.Module, pixels: torch.Tensor, every: bool) -> Sequence[torch.Tensor]:
    output = model(pixels, output_hidden_states=every)
    return [*(output.hidden_states[:-1] if every else ()), output.last_hidden_state]


def _clip_states(model: nn.Module, pixels: torch.Tensor, every: bool) -> Sequence[torch.Tensor]:
    tower = cast(Any, model).vision_model
    output = tower(pixels, output_hidden_states=every)
    last = tower.post_layernorm(output.last_hidden_state)
    return [*(output.hidden_states[:-1] if every else ()), last]


def _project(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    projected: torch.Tensor = cast(Any, model).visual_projection(tokens)
    return projected
