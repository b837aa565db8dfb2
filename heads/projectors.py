"""Projectors: features of an encoder to tokens of a model, (B, N, D) to (B, N', H); the table of their kinds.

The only home of their classes, with emo.heads.attention_pool and emo.heads.prefusion. Heads use them with H a
small width, the LLaMA stage with H its hidden size; nothing of either is known here.
Shapes at paper size: Emotion-LLaMA, minigpt4/models/minigpt_v2.py at commit 4ee28d2.

Axes: B batch, N tokens, D feature dim, H hidden size of the receiver, C size of what is condensed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, cast

from torch import Tensor, nn

from emo.errors import ConfigError
from emo.heads.attention_pool import AttentionPool

MERGED_PATCHES = 4
NO_KINDS: Mapping[str, str] = MappingProxyType({})


class Projector(Protocol):
    """What every kind can do beside being a module. `out` is the linear layer that ends it.

    `mean(condense(x))` is `forward(x).mean(1)` to rounding: what is linear is averaged before it is
    multiplied, so a mean over 256 tokens of EVA costs as much as one token.
    """

    @property
    def out(self) -> nn.Linear:
        """The last layer: a factor on its weights and biases is one on every token."""

    def forward(self, values: Tensor) -> Tensor:
        """Features (B, D) or (B, N, D) to tokens (B, N', H)."""

    def condense(self, values: Tensor) -> Tensor:
        """The part of the features, (B, C) or (B, N, D), that the mean of the tokens depends on."""

    def mean(self, condensed: Tensor) -> Tensor:
        """The mean of the tokens, (B, H), from what `condense` kept."""

    def tokens(self, shape: Sequence[int]) -> int:
        """N' for features of this shape for one clip, (D,) or (N, D)."""


class LinearProjector(nn.Module):
    """One linear layer a token: (B, D) or (B, N, D) to (B, 1, H) or (B, N, H)."""

    def __init__(self, in_dim: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, hidden)

    @property
    def out(self) -> nn.Linear:
        """The only layer."""
        return self.linear

    def forward(self, values: Tensor) -> Tensor:
        """A vector a clip counts as one token."""
        projected: Tensor = self.linear(_as_tokens(values))
        return projected

    def condense(self, values: Tensor) -> Tensor:
        """The mean token (B, D)."""
        return _as_tokens(values).mean(dim=1)

    def mean(self, condensed: Tensor) -> Tensor:
        """(B, D) to (B, H)."""
        projected: Tensor = self.linear(condensed)
        return projected

    def tokens(self, shape: Sequence[int]) -> int:
        """As many as there are."""
        return _count(shape)


class MLPProjector(nn.Module):
    """Linear, GELU, dropout, linear: (B, D) or (B, N, D) to (B, 1, H) or (B, N, H)."""

    def __init__(self, in_dim: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, hidden)
        )

    @property
    def out(self) -> nn.Linear:
        """The second linear layer."""
        return cast(nn.Linear, self.layers[-1])

    def forward(self, values: Tensor) -> Tensor:
        """A vector a clip counts as one token."""
        projected: Tensor = self.layers(_as_tokens(values))
        return projected

    def condense(self, values: Tensor) -> Tensor:
        """All of it: the GELU stands between the tokens and their mean."""
        return values

    def mean(self, condensed: Tensor) -> Tensor:
        """(B, D) or (B, N, D) to (B, H)."""
        return self(condensed).mean(dim=1)  # type: ignore[no-any-return]

    def tokens(self, shape: Sequence[int]) -> int:
        """As many as there are."""
        return _count(shape)


class MergedPatchProjector(nn.Module):
    """Patch tokens of a ViT, `merge` neighbours concatenated: (B, 1 + N, D) to (B, N / merge, H).

    Token 0, the class token, is left out. Neighbours are those of the raster scan: patches of one row, not of
    a block.
    """

    def __init__(self, in_dim: int, hidden: int, merge: int = MERGED_PATCHES) -> None:
        super().__init__()
        self.merge = merge
        self.linear = nn.Linear(merge * in_dim, hidden)

    @property
    def out(self) -> nn.Linear:
        """The only layer."""
        return self.linear

    def forward(self, tokens: Tensor) -> Tensor:
        """ConfigError where N is not a multiple of `merge`."""
        projected: Tensor = self.linear(self._merged(tokens))
        return projected

    def condense(self, values: Tensor) -> Tensor:
        """The mean of the merged patches (B, merge D). ConfigError as `forward`."""
        return self._merged(values).mean(dim=1)

    def mean(self, condensed: Tensor) -> Tensor:
        """(B, merge D) to (B, H)."""
        projected: Tensor = self.linear(condensed)
        return projected

    def tokens(self, shape: Sequence[int]) -> int:
        """One for every `merge` patches."""
        return (shape[0] - 1) // self.merge

    def _merged(self, tokens: Tensor) -> Tensor:
        batch, count, dim = tokens.shape
        if (count - 1) % self.merge:
            raise ConfigError(
                f"{count - 1} patch tokens do not divide into groups of {self.merge}. "
                f"Choose an image size with a multiple of {self.merge} patches."
            )
        return tokens[:, 1:].reshape(batch, (count - 1) // self.merge, self.merge * dim)


class ClassTokenProjector(nn.Module):
    """The class token of a ViT: (B, 1 + N, D) to (B, 1, H)."""

    def __init__(self, in_dim: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, hidden)

    @property
    def out(self) -> nn.Linear:
        """The only layer."""
        return self.linear

    def forward(self, tokens: Tensor) -> Tensor:
        """Reads token 0 only."""
        projected: Tensor = self.linear(tokens[:, :1])
        return projected

    def condense(self, values: Tensor) -> Tensor:
        """Token 0, (B, D)."""
        return values[:, 0]

    def mean(self, condensed: Tensor) -> Tensor:
        """(B, D) to (B, H)."""
        projected: Tensor = self.linear(condensed)
        return projected

    def tokens(self, shape: Sequence[int]) -> int:
        """One."""
        return 1


KINDS: Mapping[str, type[nn.Module]] = {
    "linear": LinearProjector,
    "mlp": MLPProjector,
    "merge4": MergedPatchProjector,
    "class": ClassTokenProjector,
    "attention": AttentionPool,
}
"""What fills a slot, by name: (D, H) of the features and of the receiver make one."""

OF_A_VIT = ("merge4", "class")  # kinds that read patch tokens behind a class token
DEFAULT_KINDS: Mapping[str, str] = {"eva_patches": "merge4", "eva_class": "class"}


def kind_of(slot: str, kinds: Mapping[str, str] = NO_KINDS) -> str:
    """The kind of projector that fills a slot: as `kinds` says, else the official one."""
    return kinds.get(slot) or DEFAULT_KINDS.get(slot, "linear")


def misfit(slot: str, kind: str) -> str:
    """Why a projector of this kind cannot fill the slot; "" where it can."""
    if kind not in KINDS:
        return f"there is no projector {kind!r}; known are {', '.join(KINDS)}"
    if kind in OF_A_VIT and slot_source(slot)[1] != "tokens":
        return f"{kind} reads the patch tokens of a ViT, and {slot} has none"
    return ""


def slot_source(slot: str) -> tuple[str, str]:
    """The feature and the array of it that a slot of the prompt is filled from."""
    if slot in ("eva_patches", "eva_class"):
        return "eva", "tokens"
    return slot, "utterance"


def projectors_for(
    slots: Sequence[str], dims: Mapping[str, int], hidden: int, kinds: Mapping[str, str] = NO_KINDS
) -> nn.ModuleDict:
    """A projector by slot name for each slot whose feature is in `dims` (D by feature name), to H = `hidden`.

    At paper size `eva_patches` has 23,072,768 parameters, `mae`, `videomae` and `hubert` 4,198,400 each and
    `eva_class` 5,771,264: 41,439,232 in all. ConfigError where no slot has a feature, or a kind does not fit.
    """
    fillable = [slot for slot in slots if slot_source(slot)[0] in dims]
    if not fillable:
        raise ConfigError(f"the slots {', '.join(slots)} need other features than {', '.join(dims)}.")
    if wrong := [f"{slot}: {why}." for slot in fillable if (why := misfit(slot, kind_of(slot, kinds)))]:
        raise ConfigError(*wrong)
    return nn.ModuleDict(
        {slot: KINDS[kind_of(slot, kinds)](dims[slot_source(slot)[0]], hidden) for slot in fillable}
    )


def _as_tokens(values: Tensor) -> Tensor:
    return values.unsqueeze(1) if values.dim() == 2 else values


def _count(shape: Sequence[int]) -> int:
    return 1 if len(shape) == 1 else shape[0]
