"""FeatureSpec: everything that decides the values of a feature, and its fingerprint.

Two arrays with equal fingerprints are interchangeable. Where a feature is stored, which preset asked
for it and which machine computed it are not part of that, so they are not part of the fingerprint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, cast

import numpy as np

from emo.canonical import Json, sha256_json

ArrayKind = Literal["frames", "tokens", "utterance"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayLayout:
    """Shape of one array of a record: frames (T, dim), tokens (tokens, dim) or utterance (dim,).

    `dtype` is a NumPy name or "bfloat16" (stored as uint16).
    """

    kind: ArrayKind
    dim: int
    tokens: int = 1
    dtype: str = "float16"

    @property
    def item_bytes(self) -> int:
        """Bytes of one value as it is stored."""
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """What may be done with the weights behind a feature, and where that is written."""

    name: str = "unknown"
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureSpec:
    """A recipe for features of one encoder.

    `weights` maps a weight file's role to its SHA-256; `recipe` holds layer, pooling, sampling, crop,
    resize filter, rates: plain JSON. `recipe_version` changes whenever the preprocessing code changes
    values. `precision` is the resolved compute precision. `preset` and `licence` are for people.

    >>> spec = emo.open("features.zarr")["hubert"].spec
    >>> spec.encoder, spec.preset, spec.arrays["utterance"].dim
    ('hubert', 'tiny', 96)
    >>> emo.FeatureSpec.from_json(spec.to_json()).fingerprint == spec.fingerprint
    True
    """

    encoder: str
    weights: Mapping[str, str]
    recipe: Mapping[str, Json]
    recipe_version: int
    arrays: Mapping[str, ArrayLayout]
    precision: str = "float32"
    preset: str = ""
    licence: Licence = field(default_factory=Licence)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what decides the values, 64 hex digits."""
        decides = {
            "encoder": self.encoder,
            "weights": dict(self.weights),
            "recipe": dict(self.recipe),
            "recipe_version": self.recipe_version,
            "arrays": {name: asdict(layout) for name, layout in self.arrays.items()},
            "precision": self.precision,
        }
        return sha256_json(decides)

    @property
    def short(self) -> str:
        """The first 16 hex digits of the fingerprint: the name of the space on disk."""
        return self.fingerprint[:16]

    def to_json(self) -> dict[str, Json]:
        """The whole spec as plain JSON; `from_json` is its inverse."""
        return cast(
            dict[str, Json], asdict(self) | {"weights": dict(self.weights), "recipe": dict(self.recipe)}
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> FeatureSpec:
        """The spec that `to_json` wrote; TypeError where keys are missing or unknown."""
        fields = cast(dict[str, object], dict(data))
        arrays = cast(Mapping[str, dict[str, object]], fields.pop("arrays"))
        licence = cast(dict[str, str], fields.pop("licence"))
        return cls(
            arrays={name: ArrayLayout(**layout) for name, layout in arrays.items()},  # type: ignore[arg-type]
            licence=Licence(**licence),
            **fields,  # type: ignore[arg-type]
        )
