"""Standardiser: z-scores per feature dimension, fitted on training clips only and kept with the model.

Knows nothing of splits: it fits on the batch it is given. Axes: B batch, N tokens, D feature dim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from emo.errors import CheckpointError, ConfigError
from emo.heads.batches import FeatureBatch

SMALLEST_STD = 1e-6  # a dimension that varies less is constant: it becomes 0, not noise


@dataclass(frozen=True, slots=True, eq=False)
class Standardiser:
    """`mean[name]` and `scale[name]` (D,), float32; a standardised value is (value - mean) * scale."""

    mean: dict[str, Tensor]
    scale: dict[str, Tensor]

    @classmethod
    def fit(cls, batch: FeatureBatch) -> Standardiser:
        """Mean and 1 / standard deviation over the present clips (and their tokens).

        ConfigError where a feature is present in no clip: there is nothing to learn from it.
        """
        mean, scale = {}, {}
        for name in batch.names:
            rows = batch.rows(name).double().cpu()
            if not len(rows):
                raise ConfigError(
                    f"{name}: none of the {len(batch)} training clips has usable features. "
                    f"Leave it out, or see `emo cache ls` for the reason."
                )
            std = rows.std(dim=0, correction=0)
            mean[name] = rows.mean(dim=0).float()
            scale[name] = torch.where(std < SMALLEST_STD, 0.0, 1.0 / std).float()
        return cls(mean, scale)

    def __call__(self, batch: FeatureBatch) -> FeatureBatch:
        """The batch in z-scores; absent rows stay unread by the models."""
        values = {}
        for name, value in batch.values.items():
            if name not in self.mean:
                raise ConfigError(
                    f"fitted on {', '.join(self.mean)}, not on {name}. Fit again or leave it out."
                )
            mean, scale = self.mean[name].to(value), self.scale[name].to(value)
            values[name] = (value - mean) * scale
        return batch.with_values(values)

    def tensors(self) -> dict[str, Tensor]:
        """Flat names for a safetensors file: `mean.<feature>`, `scale.<feature>`."""
        return {f"mean.{name}": tensor for name, tensor in self.mean.items()} | {
            f"scale.{name}": tensor for name, tensor in self.scale.items()
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Standardiser:
        """The inverse of `tensors`; CheckpointError where means and scales do not pair up."""
        parts: dict[str, dict[str, Tensor]] = {"mean": {}, "scale": {}}
        for key, tensor in tensors.items():
            part, _, name = key.partition(".")
            if part not in parts:
                raise CheckpointError(f"standardiser: unknown tensor {key!r}. The file is not one of ours.")
            parts[part][name] = tensor
        if parts["mean"].keys() != parts["scale"].keys():
            raise CheckpointError(
                f"standardiser: means of {sorted(parts['mean'])}, scales of {sorted(parts['scale'])}. "
                f"Train the head again."
            )
        return cls(parts["mean"], parts["scale"])
