"""LAVIS' eva_vit_g.pth to a folder of transformers' Blip2VisionModel, as Emotion-LLaMA uses it, and back.

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

STEM = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj.weight": "embeddings.patch_embedding.weight",
    "patch_embed.proj.bias": "embeddings.patch_embedding.bias",
}
LAST_NORM = ("post_layernorm.weight", "post_layernorm.bias")
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


def export(folder: Path, file: Path) -> None:
    """Write `file`, a flat .pth of the original names, from a folder that `convert` wrote.

    Position embeddings keep the grid of the folder; the official code takes any. CheckpointError where the
    folder holds another model, or something trained that the original has no place for.
    """
    import torch
    from safetensors.torch import load_file

    model = folder / "model.safetensors"
    try:
        tensors = load_file(model)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{model}: cannot be read: {error}. Convert eva_vit_g.pth first.") from error
    originals = rename_back(tensors, str(model), blocks=count_blocks(tensors, "encoder.layers."))
    part = file.with_name(f"{file.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    torch.save(originals, part)
    part.rename(file)


def rename_back(tensors: Mapping[str, Tensor], source: str, *, blocks: int) -> dict[str, Tensor]:
    """The inverse of `rename`: the original names, query and value biases apart."""
    import torch

    renamed = {theirs: take(tensors, ours, source) for theirs, ours in STEM.items()}
    lost = [(name, 1.0 if name.endswith("weight") else 0.0) for name in LAST_NORM]
    faults = [name for name, start in lost if not bool((take(tensors, name, source) == start).all())]
    for block in range(blocks):
        old, new = f"blocks.{block}", f"encoder.layers.{block}"
        for theirs, ours in PLAIN.items():
            for part in ("weight", "bias"):
                renamed[f"{old}.{theirs}.{part}"] = take(tensors, f"{new}.{ours}.{part}", source)
        renamed[f"{old}.attn.qkv.weight"] = take(tensors, f"{new}.self_attn.qkv.weight", source)
        query, key, value = take(tensors, f"{new}.self_attn.qkv.bias", source).chunk(3)
        renamed |= {f"{old}.attn.q_bias": query.clone(), f"{old}.attn.v_bias": value.clone()}
        if torch.count_nonzero(key):
            faults.append(f"{new}.self_attn.qkv.bias (keys)")
    if faults:
        raise CheckpointError(
            f"{source}: the original has no place for {', '.join(faults)}, which are trained."
        )
    return renamed


def rename(tensors: Mapping[str, Tensor], source: str, *, blocks: int) -> dict[str, Tensor]:
    """The tensors under Blip2VisionModel's names, with an identity post_layernorm."""
    import torch

    renamed = {ours: take(tensors, theirs, source) for theirs, ours in STEM.items()}
    dim = renamed["embeddings.class_embedding"].shape[-1]
    renamed |= {"post_layernorm.weight": torch.ones(dim), "post_layernorm.bias": torch.zeros(dim)}
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
