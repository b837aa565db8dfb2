"""Which of a model's hidden states become features, and what their arrays are called.

State 0 is what the first block reads, state k what block k gives, the last one behind the model's final norm.
Pure bookkeeping; knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from emo.errors import ConfigError
from emo.records import Array
from emo.spec import ArrayLayout

Parts: TypeAlias = Mapping[str, tuple[int, ...]]
"""The states that are summed to a feature, by the ending of its arrays' names: "" or "@6"."""


def last(depth: int) -> Parts:
    """The last state alone, as `frames`."""
    return {"": (depth,)}


def several(layers: Sequence[int], depth: int, encoder: str, *, lowest: int = 0) -> Parts:
    """One feature a layer, as `frames@6`; ConfigError where the model of `depth` blocks has no such layer."""
    wrong = [layer for layer in layers if not lowest <= layer <= depth]
    if wrong or len(set(layers)) != len(layers):
        said = ", ".join(map(str, layers))
        raise ConfigError(
            f"{encoder} has the layers {lowest} to {depth}; {said} are not different ones of them."
        )
    return {f"@{layer}": (layer,) for layer in layers}


def picked(states: Sequence[Any], parts: Parts) -> list[Any]:
    """The features of the parts, in order, from all hidden states."""
    return [sum(states[layer] for layer in summed) for summed in parts.values()]


def frame_layouts(dim: int, parts: Parts) -> dict[str, ArrayLayout]:
    """`frames` and `utterance` of each part."""
    layouts: dict[str, ArrayLayout] = {}
    for ending in parts:
        layouts[f"frames{ending}"] = ArrayLayout(kind="frames", dim=dim)
        layouts[f"utterance{ending}"] = ArrayLayout(kind="utterance", dim=dim)
    return layouts


def with_means(features: Sequence[Array], parts: Parts) -> dict[str, Array]:
    """`frames` (T, D) of each part and its `utterance` (D,), the mean."""
    arrays: dict[str, Array] = {}
    for ending, frames in zip(parts, features, strict=True):
        arrays[f"frames{ending}"] = frames
        arrays[f"utterance{ending}"] = frames.mean(axis=0, dtype="float32")
    return arrays
