"""Checkpoints of the original MAE and VideoMAE code to folders that emo can read.

Source of the names: github.com/facebookresearch/mae (models_mae.py) and github.com/MCG-NJU/VideoMAE
(modeling_pretrain.py). Decoders, heads and mask tokens are left behind. Knows names and shapes, no command
line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo.canonical import Json
from emo.extractors.checkpoints import count_blocks, load_tensors, take, write_folder
from emo.extractors.pixels import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from torch import Tensor

HEAD_DIM = 64
FRAMES = 16

MAE_BLOCK = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
MAE_REST = ("cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias")
VIDEO_BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


def convert_mae(source: str, out: str, *, heads: int = 0) -> Json:
    """An MAE checkpoint as a timm folder in `out`; returns the files' SHA-256.

    `heads` 0 is one for every 64 dimensions. Raises CheckpointError where tensors are missing.
    """
    tensors = load_tensors(Path(source))
    blocks = count_blocks(tensors, "blocks.")
    names = [*MAE_REST, "norm.weight", "norm.bias"]
    for block in range(blocks):
        names += [f"blocks.{block}.{part}.{kind}" for part in MAE_BLOCK for kind in ("weight", "bias")]
    kept = {name: take(tensors, name, source) for name in names}
    dim, _, patch, _ = kept["patch_embed.proj.weight"].shape
    side = patch * round((kept["pos_embed"].shape[1] - 1) ** 0.5)
    config = {
        "architecture": "vit_large_patch16_224",
        "num_features": dim,
        "model_args": {
            "img_size": side,
            "patch_size": patch,
            "embed_dim": dim,
            "depth": blocks,
            "num_heads": heads or dim // HEAD_DIM,
            "mlp_ratio": kept["blocks.0.mlp.fc1.weight"].shape[0] / dim,
        },
        "pretrained_cfg": {
            "mean": list(IMAGENET_MEAN),
            "std": list(IMAGENET_STD),
            "input_size": [3, side, side],
        },
    }
    return write_folder(Path(out), kept, config)


def convert_videomae(source: str, out: str, *, heads: int = 0, side: int = 224) -> Json:
    """A VideoMAE checkpoint as a folder of transformers' VideoMAEModel in `out`; returns the files' SHA-256.

    Pre-training files keep the encoder under `encoder.`; both kinds are read. The final norm is kept.
    Raises CheckpointError where tensors are missing.
    """
    tensors = load_tensors(Path(source))
    prefix = "encoder." if "encoder.patch_embed.proj.weight" in tensors else ""
    blocks = count_blocks(tensors, f"{prefix}blocks.")
    renamed = {}
    for kind in ("weight", "bias"):
        patches = take(tensors, f"{prefix}patch_embed.proj.{kind}", source)
        renamed[f"embeddings.patch_embeddings.projection.{kind}"] = patches
        renamed[f"layernorm.{kind}"] = take(tensors, f"{prefix}norm.{kind}", source)
    for block in range(blocks):
        renamed |= _video_block(tensors, source, f"{prefix}blocks.{block}", f"encoder.layer.{block}")
    return write_folder(Path(out), renamed, _video_config(renamed, blocks, heads, side))


def _video_block(tensors: Mapping[str, Tensor], source: str, old: str, new: str) -> dict[str, Tensor]:
    renamed = {
        f"{new}.{ours}.{kind}": take(tensors, f"{old}.{theirs}.{kind}", source)
        for theirs, ours in VIDEO_BLOCK.items()
        for kind in ("weight", "bias")
    }
    attention = f"{new}.attention.attention"
    parts = take(tensors, f"{old}.attn.qkv.weight", source).chunk(3)
    for name, part in zip(("query", "key", "value"), parts, strict=True):
        renamed[f"{attention}.{name}.weight"] = part
    renamed[f"{attention}.query.bias"] = take(tensors, f"{old}.attn.q_bias", source)
    renamed[f"{attention}.value.bias"] = take(tensors, f"{old}.attn.v_bias", source)
    return renamed


def _video_config(renamed: Mapping[str, Tensor], blocks: int, heads: int, side: int) -> dict[str, Any]:
    dim, _, tubelet, patch, _ = renamed["embeddings.patch_embeddings.projection.weight"].shape
    return {
        "architectures": ["VideoMAEModel"],
        "model_type": "videomae",
        "image_size": side,
        "patch_size": patch,
        "num_frames": FRAMES,
        "tubelet_size": tubelet,
        "hidden_size": dim,
        "num_hidden_layers": blocks,
        "num_attention_heads": heads or dim // HEAD_DIM,
        "intermediate_size": renamed["encoder.layer.0.intermediate.dense.weight"].shape[0],
        "layer_norm_eps": 1e-6,
        "qkv_bias": True,
        "use_mean_pooling": False,
        "dtype": "float32",
    }
