"""What a head is, the table of heads, and how one is made by name. Knows no training and no labels' names.

A head of your own is a `torch.nn.Module` that takes `dims` and `classes` (and options of its own) and turns a
FeatureBatch into logits; name it `module:Class`. docs/heads.md shows one.

Axes: B batch, N tokens, D feature dim, K classes.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from emo.digests import sha256_file
from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch

Reads = Literal["utterance", "frames"]


@dataclass(frozen=True, slots=True)
class HeadEntry:
    """A line of the table: where the head is, what it reads of a feature, and the paper it is of."""

    path: str
    reads: Reads
    source: str


HEADS: Mapping[str, HeadEntry] = {
    "mlp": HeadEntry("emo.heads.unimodal:UnimodalMLP", "utterance", "Lian et al. 2023, arXiv:2304.08981"),
    "concat": HeadEntry("emo.heads.concat:ConcatMLP", "utterance", "early fusion"),
    "attention": HeadEntry(
        "emo.heads.attention:AttentionFusion", "utterance", "Lian et al. 2024, arXiv:2401.03429"
    ),
    "attention-topn": HeadEntry(
        "emo.heads.attention:AttentionFusion", "utterance", "Lian et al. 2024, arXiv:2404.17113"
    ),
    "transformer": HeadEntry(
        "emo.heads.transformer:TransformerFusion", "frames", "Vaswani et al. 2017, arXiv:1706.03762"
    ),
    "fbp": HeadEntry("emo.heads.bilinear:BilinearPooling", "utterance", "Yu et al. 2017, arXiv:1708.01471"),
    "lmf": HeadEntry("emo.heads.lmf:LowRankFusion", "utterance", "Liu et al. 2018, arXiv:1806.00064"),
    "tfn": HeadEntry("emo.heads.tfn:TensorFusion", "utterance", "Zadeh et al. 2017, arXiv:1707.07250"),
    "misa": HeadEntry("emo.heads.misa:MISA", "utterance", "Hazarika et al. 2020, arXiv:2005.03545"),
    "mult": HeadEntry("emo.heads.mult:MulT", "frames", "Tsai et al. 2019, arXiv:1906.00295"),
}


class Head(Protocol):
    """FeatureBatch to logits (B, K). Reads no value under a False mask."""

    def __call__(self, batch: FeatureBatch) -> Tensor:
        """Logits (B, K)."""


@runtime_checkable
class LossyHead(Protocol):
    """A head with terms of its own in the training loss."""

    def logits_and_loss(self, batch: FeatureBatch) -> tuple[Tensor, Tensor]:
        """Logits (B, K), and a scalar that training adds to its loss."""


class HeadFactory(Protocol):
    """What makes a head: usually its class."""

    def __call__(self, dims: Mapping[str, int], classes: int, **options: float) -> nn.Module:
        """A head for features of these dims (D by name) and this many classes."""


def make_head(name: str, dims: Mapping[str, int], classes: int, **options: float) -> nn.Module:
    """The head called `name`, a key of HEADS or `module:Class`; ConfigError where there is none such."""
    factory = head_factory(name)
    try:
        head = factory(dims, classes, **options)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise ConfigError(
            f"head {name!r} refuses its options {options}: {error}. "
            "A head is made as Head(dims, classes, **options): dims is D by feature name."
        ) from error
    if not isinstance(head, nn.Module):
        raise ConfigError(f"head {name!r} is a {type(head).__name__}. A head is a torch.nn.Module.")
    return head


def head_factory(name: str) -> HeadFactory:
    """What makes the head called `name`; ConfigError where there is none such."""
    path = HEADS[name].path if name in HEADS else name
    module, _, attribute = path.partition(":")
    if not attribute:
        raise ConfigError(f"no head {name!r}. Known: {', '.join(HEADS)}; or name your own as module:Class.")
    try:
        return cast(HeadFactory, getattr(import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"head {name!r} cannot be imported: {error}. Is it on PYTHONPATH?") from error


def code_digest(name: str) -> str:
    """SHA-256, as 64 hex digits, of the file that the head called `name` is written in; "" where none is."""
    factory = head_factory(name)
    file = inspect.getsourcefile(factory) if inspect.isclass(factory) or inspect.isfunction(factory) else None
    return sha256_file(Path(file)) if file else ""


def head_reads(name: str) -> Reads:
    """What the head called `name` reads of a feature; a head of your own says it as `reads = "frames"`."""
    if name in HEADS:
        return HEADS[name].reads
    return "frames" if getattr(head_factory(name), "reads", "utterance") == "frames" else "utterance"


def head_options(name: str) -> tuple[str, ...] | None:
    """Names of the options that the head called `name` takes; None where it takes any."""
    parameters = inspect.signature(head_factory(name)).parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return None
    return tuple(one.name for one in parameters if one.name not in ("dims", "classes"))


@torch.no_grad()
def check_head(head: nn.Module, name: str, sample: FeatureBatch, classes: int) -> None:
    """ConfigError where `head` does not turn `sample` into finite logits (B, K), whatever is masked.

    The head sees zeros of the sample's shapes: all of them, then each feature masked in turn with NaN under
    the mask, then no feature at all.
    """
    head.eval()
    sample = sample.with_values({name: torch.zeros_like(value) for name, value in sample.values.items()})
    for hidden in ((), *((feature,) for feature in sample.names), sample.names):
        try:
            logits = head(_without(sample, hidden))
        except ConfigError:
            raise
        except Exception as error:  # whatever the code of a stranger raises
            raise ConfigError(
                f"head {name!r} fails on {len(sample)} clips{_lacking(hidden)}: "
                f"{type(error).__name__}: {error}."
            ) from error
        if not isinstance(logits, Tensor) or logits.shape != (len(sample), classes):
            given = f"{tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
            raise ConfigError(
                f"head {name!r} gives {given} for {len(sample)} clips and {classes} outputs, "
                f"not logits ({len(sample)}, {classes})."
            )
        if hidden and not torch.isfinite(logits).all():
            raise ConfigError(
                f"head {name!r} gives logits that are not finite{_lacking(hidden)}: it reads values under "
                "a False mask. Read them with batch.present(name), which writes zeros there."
            )


def utterance(batch: FeatureBatch, name: str) -> Tensor:
    """Values (B, D) of a feature, zeros where absent; ConfigError where they are tokens."""
    value = batch.present(name)
    if value.dim() != 2:
        raise ConfigError(
            f"{name} has shape {tuple(value.shape)}; this head reads one vector a clip. "
            f"Load it with a pooling, such as frames:mean+std."
        )
    return value


def sequence(batch: FeatureBatch, name: str) -> tuple[Tensor, Tensor]:
    """Tokens (B, N, D) of a feature, zeros where absent, and which are there (B, N).

    A vector a clip is a sequence of one token.
    """
    value = batch.present(name)
    return (value if value.dim() == 3 else value.unsqueeze(1)), batch.token_mask(name)


def _without(batch: FeatureBatch, hidden: tuple[str, ...]) -> FeatureBatch:
    values, masks = dict(batch.values), dict(batch.masks)
    for name in hidden:
        values[name] = torch.full_like(values[name], torch.nan)
        masks[name] = torch.zeros_like(masks[name])
    return FeatureBatch(batch.clip_ids, values, masks, batch.sources, batch.lengths)


def _lacking(hidden: tuple[str, ...]) -> str:
    return f" without {', '.join(hidden)}" if hidden else ""
