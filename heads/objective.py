"""The loss of a classifier head: labels or votes, and the valence as a second output.

MERBench adds cross entropy and mean squared error (toolkit/utils/loss.py of MERTools). Knows no model.

Axes: B batch, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from emo.config.heads import HeadConfig
from emo.errors import ConfigError
from emo.heads.ratings import Ratings
from emo.labels import what_instead


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Classes (B,); shares of votes (B, K) and valence (B,), NaN where unknown, where they are trained on."""

    classes: Tensor
    shares: Tensor | None = None
    valence: Tensor | None = None

    @classmethod
    def of(
        cls,
        clip_ids: Sequence[str],
        names: Sequence[str],
        labels: Sequence[str],
        ratings: Ratings,
        config: HeadConfig,
    ) -> Targets:
        """What `config` trains on; ConfigError for labels outside `labels` and for ratings nobody gave."""
        classes = label_indices(names, labels)
        return cls(
            classes,
            ratings.shares(clip_ids, names, labels) if config.soft_labels else None,
            ratings.valences(clip_ids) if config.valence > 0 else None,
        )

    def take(self, rows: Tensor) -> Targets:
        """Those of the clips at `rows`."""
        index = rows.to(self.classes.device)
        return Targets(
            self.classes[index],
            None if self.shares is None else self.shares[index],
            None if self.valence is None else self.valence[index],
        )

    def to(self, device: str | torch.device) -> Targets:
        """The targets on `device`."""
        return Targets(
            self.classes.to(device),
            None if self.shares is None else self.shares.to(device),
            None if self.valence is None else self.valence.to(device),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """Cross entropy with class weights (K,) and label smoothing, plus `valence` times the squared error."""

    classes: int
    class_weights: Tensor | None
    label_smoothing: float
    valence: float

    def __call__(self, outputs: Tensor, targets: Targets) -> Tensor:
        """The mean loss of outputs (B, K) or (B, K + 1), the valence last."""
        logits = outputs[:, : self.classes]
        if targets.shares is None:
            loss = functional.cross_entropy(
                logits, targets.classes, weight=self.class_weights, label_smoothing=self.label_smoothing
            )
        else:
            loss = self._of_shares(logits, targets.shares)
        if targets.valence is None:
            return loss
        return loss + self.valence * squared_error(outputs[:, self.classes], targets.valence)

    def _of_shares(self, logits: Tensor, shares: Tensor) -> Tensor:
        """As torch's cross entropy of indices, which divides by the weights of the classes that are right."""
        weights = logits.new_ones(self.classes) if self.class_weights is None else self.class_weights
        smoothed = (1 - self.label_smoothing) * shares + self.label_smoothing / self.classes
        total = -(weights * smoothed * logits.log_softmax(dim=1)).sum()
        return total / (weights * shares).sum()


def squared_error(predicted: Tensor, valence: Tensor) -> Tensor:
    """The mean squared error over the clips with a valence; 0 where there are none."""
    known = ~valence.isnan()
    if not bool(known.any()):
        return predicted.new_zeros(())
    return functional.mse_loss(predicted[known], valence[known])


def label_indices(names: Sequence[str], labels: Sequence[str]) -> Tensor:
    """Indices (B,) of `names` in `labels`; ConfigError with every name that is not among them."""
    if unknown := sorted(set(names) - set(labels)):
        raise ConfigError(
            f"labels {', '.join(unknown)} are not among {', '.join(labels)}. {what_instead(unknown, labels)}"
        )
    return torch.tensor([labels.index(name) for name in names], dtype=torch.long)


def class_weights(targets: Tensor, classes: int) -> Tensor:
    """Weights (K,) in inverse proportion to how often each class occurs, 1 on average over the clips.

    A class without clips has weight 0: nothing is known of it.
    """
    counts = torch.bincount(targets, minlength=classes).float()
    return torch.where(counts > 0, len(targets) / (counts.clamp(min=1) * (counts > 0).sum()), 0.0)
