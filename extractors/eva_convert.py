"""LAVIS' eva_vit_g.pth to a folder of transformers' Blip2VisionModel, as Emotion-LLaMA uses it.

Source of the names and rules: Emotion-LLaMA, minigpt4/models/eva_vit.py at commit 4ee28d2: 39 of the file's
blocks, query and value biases apart and no key bias, position embeddings resampled bicubically, no final
norm. Knows names and shapes, no command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo.canonical import Json
from emo.errors import CheckpointError
from emo.extractors.checkpoints import count_blocks, load_tensors, take, write_folder

if TYPE_CHECKING:
    from torch import Tensor

BLOCKS = 39
HEADS = 16
SIDE = 448

PLAIN = {
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.proj": "self_attn.projection",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}


def convert(source: str, out: str, *, blocks: int = BLOCKS, heads: int = HEADS, side: int = SIDE) -> Json:
    """Write `out/model.safetensors` and `out/config.json`; returns their SHA-256 by file name.

    Further blocks, norms and heads in the file are left behind. Raises CheckpointError where tensors are
    missing or do not fit each other.
    """
    tensors = load_tensors(Path(source))
    there = count_blocks(tensors, "blocks.")
    if there < blocks:
        raise CheckpointError(f"{Path(source).name} has {there} blocks, {blocks} are needed.")
    renamed = rename(tensors, source, blocks=blocks)
    patch = renamed["embeddings.patch_embedding.weight"].shape[-1]
    positions = renamed["embeddings.position_embedding"]
    renamed["embeddings.position_embedding"] = resample_positions(positions, side // patch)
    return write_folder(Path(out), renamed, _config(renamed, blocks=blocks, heads=heads, side=side))


def rename(tensors: Mapping[str, Tensor], source: str, *, blocks: int) -> dict[str, Tensor]:
    """The tensors under Blip2VisionModel's names, with an identity post_layernorm."""
    import torch

    classes = take(tensors, "cls_token", source)
    dim = classes.shape[-1]
    renamed = {
        "embeddings.class_embedding": classes,
        "embeddings.position_embedding": take(tensors, "pos_embed", source),
        "embeddings.patch_embedding.weight": take(tensors, "patch_embed.proj.weight", source),
        "embeddings.patch_embedding.bias": take(tensors, "patch_embed.proj.bias", source),
        "post_layernorm.weight": torch.ones(dim),
        "post_layernorm.bias": torch.zeros(dim),
    }
    for block in range(blocks):
        old, new = f"blocks.{block}", f"encoder.layers.{block}"
        for theirs, ours in PLAIN.items():
            for part in ("weight", "bias"):
                renamed[f"{new}.{ours}.{part}"] = take(tensors, f"{old}.{theirs}.{part}", source)
        query = take(tensors, f"{old}.attn.q_bias", source)
        value = take(tensors, f"{old}.attn.v_bias", source)
        renamed[f"{new}.self_attn.qkv.weight"] = take(tensors, f"{old}.attn.qkv.weight", source)
        renamed[f"{new}.self_attn.qkv.bias"] = torch.cat([query, torch.zeros_like(value), value])
    return renamed


def resample_positions(positions: Tensor, grid: int) -> Tensor:
    """(1, 1 + n*n, D) to (1, 1 + grid*grid, D): bicubic, corners not aligned, class position kept."""
    import torch
    from torch.nn.functional import interpolate

    dim = positions.shape[-1]
    before = round((positions.shape[1] - 1) ** 0.5)
    if before == grid:
        return positions
    plane = positions[:, 1:].float().reshape(1, before, before, dim).permute(0, 3, 1, 2)
    plane = interpolate(plane, size=(grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :1].float(), plane.permute(0, 2, 3, 1).reshape(1, -1, dim)], dim=1)


def _config(renamed: Mapping[str, Tensor], *, blocks: int, heads: int, side: int) -> dict[str, Any]:
    patches = renamed["embeddings.patch_embedding.weight"]
    return {
        "architectures": ["Blip2VisionModel"],
        "model_type": "blip_2_vision_model",
        "hidden_size": patches.shape[0],
        "intermediate_size": renamed["encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": blocks,
        "num_attention_heads": heads,
        "image_size": side,
        "patch_size": patches.shape[-1],
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "qkv_bias": True,
        "initializer_range": 0.02,
        "dtype": "float32",
    }
