"""Settings of a classifier head and of its training. Knows no room's code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Selection = Literal["weighted_f1", "loss"]


def _arrays() -> dict[str, str]:
    return {
        "hubert": "utterance",
        "mae": "frames:mean+apex",
        "videomae": "frames:mean+apex",
        "eva": "tokens:first+mean",
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadConfig:
    """One run of `emo train-head`."""

    head: str = "attention"
    """concat, attention, or `module:Class` of your own."""
    arrays: dict[str, str] = field(default_factory=_arrays)
    """What a head reads of each feature: an array of the cache, pooled as in `frames:mean+std`."""
    options: dict[str, float] = field(default_factory=dict)
    """Further options of the head itself, such as `width` or `dropout`."""
    epochs: int = 100
    """Passes over the training clips at most."""
    patience: int = 15
    """Epochs without a better validation score before training stops."""
    select: Selection = "loss"
    """Validation score that decides which epoch is kept. The F1 of some dozens of clips jumps: it keeps lucky
    early epochs where the loss does not. With weighted_f1 ties go to the lower loss."""
    batch_size: int = 32
    """Clips in a step."""
    learning_rate: float = 1e-3
    """Of AdamW, constant."""
    weight_decay: float = 1e-2
    """Of AdamW, on matrices only."""
    clip_norm: float = 1.0
    """Largest gradient norm of a step."""
    label_smoothing: float = 0.1
    """Share of the target spread over all classes."""
    class_balanced: bool = True
    """Weigh classes by the inverse of their frequency in the training clips."""
    modality_dropout: float = 0.1
    """Chance to hide a feature of a clip in training; a clip never loses its last one."""
    val_share: float = 0.2
    """Share of the training speakers held out where the manifest has no validation split."""
    seed: int = 0
    """Of initialisation, order, dropout and held-out speakers."""
