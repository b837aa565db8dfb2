"""What a head is, the table of heads, and how one is made by name. Knows no training and no labels' names.

A head of your own is a `torch.nn.Module` that takes `dims` and `classes` (and options of its own) and turns a
FeatureBatch into logits; name it `module:Class`.

Axes: B batch, D feature dim, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, cast

from torch import Tensor, nn

from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch

HEADS: Mapping[str, str] = {
    "concat": "emo.heads.concat:ConcatMLP",
    "attention": "emo.heads.attention:AttentionFusion",
}


class Head(Protocol):
    """FeatureBatch to logits (B, K). Reads no value under a False mask."""

    def __call__(self, batch: FeatureBatch) -> Tensor:
        """Logits (B, K)."""


class HeadFactory(Protocol):
    """What makes a head: usually its class."""

    def __call__(self, dims: Mapping[str, int], classes: int, **options: float) -> nn.Module:
        """A head for features of these dims (D by name) and this many classes."""


def make_head(name: str, dims: Mapping[str, int], classes: int, **options: float) -> nn.Module:
    """The head called `name`, a key of HEADS or `module:Class`; ConfigError where there is none such."""
    factory = head_factory(name)
    try:
        head = factory(dims, classes, **options)
    except TypeError as error:
        raise ConfigError(f"head {name!r} refuses its options {options}: {error}.") from error
    if not isinstance(head, nn.Module):
        raise ConfigError(f"head {name!r} is a {type(head).__name__}. A head is a torch.nn.Module.")
    return head


def head_factory(name: str) -> HeadFactory:
    """What makes the head called `name`; ConfigError where there is none such."""
    path = HEADS.get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute:
        raise ConfigError(f"no head {name!r}. Known: {', '.join(HEADS)}; or name your own as module:Class.")
    try:
        return cast(HeadFactory, getattr(import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"head {name!r} cannot be imported: {error}. Is it on PYTHONPATH?") from error


def utterance(batch: FeatureBatch, name: str) -> Tensor:
    """Values (B, D) of a feature, zeros where absent; ConfigError where they are tokens."""
    value = batch.present(name)
    if value.dim() != 2:
        raise ConfigError(
            f"{name} has shape {tuple(value.shape)}; this head reads one vector a clip. "
            f"Load it with a pooling, such as frames:mean+std."
        )
    return value
