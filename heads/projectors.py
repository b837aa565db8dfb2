"""Projectors: features of an encoder to tokens of a model, (B, N, D) to (B, N', H).

The only home of their classes. Heads use them with H a small width, the LLaMA stage with H its hidden size;
nothing of either is known here.
Shapes at paper size: Emotion-LLaMA, minigpt4/models/minigpt_v2.py at commit 4ee28d2.

Axes: B batch, N tokens, D feature dim, H hidden size of the receiver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from emo.errors import ConfigError

MERGED_PATCHES = 4


class LinearProjector(nn.Module):
    """One linear layer a token: (B, D) or (B, N, D) to (B, 1, H) or (B, N, H)."""

    def __init__(self, in_dim: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, hidden)

    def forward(self, values: Tensor) -> Tensor:
        """A vector a clip counts as one token."""
        tokens = values.unsqueeze(1) if values.dim() == 2 else values
        projected: Tensor = self.linear(tokens)
        return projected


class MLPProjector(nn.Module):
    """Linear, GELU, dropout, linear: (B, D) or (B, N, D) to (B, 1, H) or (B, N, H)."""

    def __init__(self, in_dim: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, hidden)
        )

    def forward(self, values: Tensor) -> Tensor:
        """A vector a clip counts as one token."""
        tokens = values.unsqueeze(1) if values.dim() == 2 else values
        projected: Tensor = self.layers(tokens)
        return projected


class MergedPatchProjector(nn.Module):
    """Patch tokens of a ViT, `merge` neighbours concatenated: (B, 1 + N, D) to (B, N / merge, H).

    Token 0, the class token, is left out. Neighbours are those of the raster scan: patches of one row, not of
    a block.
    """

    def __init__(self, in_dim: int, hidden: int, merge: int = MERGED_PATCHES) -> None:
        super().__init__()
        self.merge = merge
        self.linear = nn.Linear(merge * in_dim, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """ConfigError where N is not a multiple of `merge`."""
        batch, count, dim = tokens.shape
        if (count - 1) % self.merge:
            raise ConfigError(
                f"{count - 1} patch tokens do not divide into groups of {self.merge}. "
                f"Choose an image size with a multiple of {self.merge} patches."
            )
        merged = tokens[:, 1:].reshape(batch, (count - 1) // self.merge, self.merge * dim)
        projected: Tensor = self.linear(merged)
        return projected


class ClassTokenProjector(nn.Module):
    """The class token of a ViT: (B, 1 + N, D) to (B, 1, H)."""

    def __init__(self, in_dim: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """Reads token 0 only."""
        projected: Tensor = self.linear(tokens[:, :1])
        return projected


def slot_source(slot: str) -> tuple[str, str]:
    """The feature and the array of it that a slot of the prompt is filled from."""
    if slot in ("eva_patches", "eva_class"):
        return "eva", "tokens"
    return slot, "utterance"


def slot_tokens(slot: str, shape: Sequence[int]) -> int:
    """Tokens that a slot takes whose feature is of `shape` for one clip: (D,) or (N, D)."""
    if slot == "eva_patches":
        return (shape[0] - 1) // MERGED_PATCHES
    return 1 if slot == "eva_class" or len(shape) == 1 else shape[0]


def projectors_for(slots: Sequence[str], dims: Mapping[str, int], hidden: int) -> nn.ModuleDict:
    """A projector by slot name for each slot whose feature is in `dims` (D by feature name), to H = `hidden`.

    At paper size `eva_patches` has 23,072,768 parameters, `mae`, `videomae` and `hubert` 4,198,400 each and
    `eva_class` 5,771,264: 41,439,232 in all. ConfigError where no slot has a feature.
    """
    fillable = [slot for slot in slots if slot_source(slot)[0] in dims]
    if not fillable:
        raise ConfigError(f"the slots {', '.join(slots)} need other features than {', '.join(dims)}.")
    return nn.ModuleDict({slot: _projector(slot, dims[slot_source(slot)[0]], hidden) for slot in fillable})


def _projector(slot: str, dim: int, hidden: int) -> nn.Module:
    if slot == "eva_patches":
        return MergedPatchProjector(dim, hidden)
    return ClassTokenProjector(dim, hidden) if slot == "eva_class" else LinearProjector(dim, hidden)
