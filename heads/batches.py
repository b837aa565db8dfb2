"""FeatureBatch: features of some clips by name, with masks.

A missing feature is a mask, never a row of zeros.

Axes: B batch, N tokens, D feature dim. Knows neither where features are stored nor what is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from emo.errors import ConfigError
from emo.spec import FeatureSpec


@dataclass(frozen=True, slots=True)
class Source:
    """Where a feature came from: the recipe, and the array with its pooling ("frames:mean+std")."""

    spec: FeatureSpec
    array: str


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBatch:
    """Features of B clips by name.

    `values[name]` is float, (B, D) for utterance-level or (B, N, D) for tokens; `masks[name]` is bool (B,),
    False where the clip lacks the feature. What stands in `values` under a False mask means nothing and is
    never read; neither is what stands after the first `lengths[name]` (B,) tokens of a clip, where a feature
    differs in length from clip to clip. `sources` says by which recipe each feature was made; empty for
    batches made by hand. ConfigError where names or lengths disagree.
    """

    clip_ids: tuple[str, ...]
    values: dict[str, Tensor]
    masks: dict[str, Tensor]
    sources: Mapping[str, Source] = field(default_factory=dict)
    lengths: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.keys() != self.masks.keys():
            raise ConfigError(f"a batch has values {sorted(self.values)} but masks {sorted(self.masks)}.")
        for name, mask in self.masks.items():
            rows = self.values[name].shape[0]
            if mask.dtype != torch.bool or mask.shape != (len(self),) or rows != len(self):
                raise ConfigError(
                    f"{name}: {len(self)} clips but {rows} rows and a mask {mask.dtype} {tuple(mask.shape)}. "
                    f"Give a bool mask of shape ({len(self)},)."
                )

    def __len__(self) -> int:
        return len(self.clip_ids)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the order they were given."""
        return tuple(self.values)

    @property
    def dims(self) -> dict[str, int]:
        """D of each feature."""
        return {name: value.shape[-1] for name, value in self.values.items()}

    def present(self, name: str) -> Tensor:
        """Values of `name` with zeros written over what is absent, so that no NaN leaks into a gradient."""
        value, mask = self.values[name], self.masks[name]
        kept = self.token_mask(name).unsqueeze(-1) if value.dim() == 3 else mask.unsqueeze(1)
        return torch.where(kept, value, value.new_zeros(()))

    def token_mask(self, name: str) -> Tensor:
        """Which tokens of `name` are there, bool (B, N); a vector a clip counts as one token."""
        value, mask = self.values[name], self.masks[name]
        count = value.shape[1] if value.dim() == 3 else 1
        lengths = self.lengths.get(name)
        if lengths is None:
            return mask.unsqueeze(1).expand(-1, count)
        return mask.unsqueeze(1) & (torch.arange(count, device=mask.device) < lengths.unsqueeze(1))

    def rows(self, name: str) -> Tensor:
        """Every vector of `name` that is there, (rows, D): one a clip, or one a token."""
        value = self.values[name]
        return value[self.token_mask(name)] if value.dim() == 3 else value[self.masks[name]]

    def take(self, rows: Sequence[int] | Tensor) -> FeatureBatch:
        """The clips at `rows`, in that order."""
        index = torch.as_tensor(rows, dtype=torch.long)
        clip_ids = tuple(self.clip_ids[row] for row in index.tolist())
        return self._map(lambda tensor: tensor[index.to(tensor.device)], clip_ids)

    def only(self, names: Sequence[str]) -> FeatureBatch:
        """The features in `names`; ConfigError for one the batch lacks."""
        if unknown := [name for name in names if name not in self.values]:
            raise ConfigError(f"the batch has {', '.join(self.names)}, not {', '.join(unknown)}.")
        return FeatureBatch(
            self.clip_ids,
            {name: self.values[name] for name in names},
            {name: self.masks[name] for name in names},
            {name: self.sources[name] for name in names if name in self.sources},
            {name: self.lengths[name] for name in names if name in self.lengths},
        )

    def with_values(self, values: dict[str, Tensor]) -> FeatureBatch:
        """The same clips and masks with other values."""
        return replace(self, values=values)

    def to(self, device: str | torch.device) -> FeatureBatch:
        """The batch on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> FeatureBatch:
        """The batch in page-locked memory; `torch.utils.data.DataLoader(pin_memory=True)` calls this."""
        return self._map(Tensor.pin_memory)

    def _map(
        self, change: Callable[[Tensor], Tensor], clip_ids: tuple[str, ...] | None = None
    ) -> FeatureBatch:
        return FeatureBatch(
            self.clip_ids if clip_ids is None else clip_ids,
            {name: change(tensor) for name, tensor in self.values.items()},
            {name: change(tensor) for name, tensor in self.masks.items()},
            self.sources,
            {name: change(tensor) for name, tensor in self.lengths.items()},
        )


def shuffled(batch: FeatureBatch, rng: np.random.Generator) -> FeatureBatch:
    """The control that a head must fail on: features of one clip under the id of another.

    One permutation for all features, so that only their tie to the clip is cut.
    """
    order = rng.permutation(len(batch)).tolist()
    return replace(batch.take(order), clip_ids=batch.clip_ids)


def drop_modalities(
    batch: FeatureBatch, rate: float | Mapping[str, float], generator: torch.Generator
) -> FeatureBatch:
    """Hide each present feature with chance `rate`; a clip that has any feature keeps at least one.

    `rate` may be given by feature, 0 for those not named. `generator` lives on the CPU, so the draw is the
    same on every device.
    """
    rates = [rate.get(name, 0.0) if isinstance(rate, Mapping) else rate for name in batch.names]
    if max(rates, default=0.0) <= 0:
        return batch
    present = torch.stack([mask.cpu() for mask in batch.masks.values()], dim=1)  # (B, M)
    draw = torch.rand(present.shape, generator=generator).masked_fill(~present, -1.0)
    survivor = torch.zeros_like(present).scatter_(1, draw.argmax(dim=1, keepdim=True), value=True)
    kept = present & (draw >= torch.tensor(rates))
    kept |= present & survivor & ~kept.any(dim=1, keepdim=True)
    masks = {name: kept[:, column].to(batch.masks[name].device) for column, name in enumerate(batch.names)}
    return replace(batch, masks=masks)


def sample_views(
    batch: FeatureBatch, augmented: Sequence[FeatureBatch], generator: torch.Generator
) -> FeatureBatch:
    """Each feature of each clip from the batch or from one of its augmented versions, all equally likely.

    `augmented` are of the same clips, each with some of the features; where one lacks a clip the plain
    feature stays. Masks are the batch's own. `generator` lives on the CPU.
    """
    values, lengths = dict(batch.values), dict(batch.lengths)
    for name in batch.names:
        versions = [one for one in augmented if name in one.values]
        if not versions:
            continue
        draw = torch.randint(len(versions) + 1, (len(batch),), generator=generator)
        for number, version in enumerate(versions, start=1):
            taken = (draw == number).to(values[name].device) & version.masks[name]
            shape = (-1, *[1] * (values[name].dim() - 1))
            values[name] = torch.where(taken.view(shape), version.values[name], values[name])
            if name in lengths:
                lengths[name] = torch.where(taken, version.lengths[name], lengths[name])
    return replace(batch, values=values, lengths=lengths)
