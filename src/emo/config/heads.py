"""Settings of a classifier head and of its training. Knows no room's code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Selection = Literal["weighted_f1", "loss", "combined"]

ARRAYS: Mapping[str, str] = {
    "hubert": "utterance",
    "mae": "frames:mean+apex",
    "videomae": "frames:mean+apex",
    "eva": "tokens:first+mean",
}
"""What a head reads of an encoder's features where nobody says; `utterance` of any other encoder."""
FRAMES = "frames:bins16"
"""What a head that reads frames reads of every encoder that stores frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadConfig:
    """One run of `emo train-head`."""

    head: str = "attention"
    """A name of docs/heads.md, or `module:Class` of your own."""
    arrays: dict[str, str] = field(default_factory=dict)
    """What a head reads of each feature, where not the usual: an array of the cache, pooled as in
    `frames:mean+std`."""
    options: dict[str, float] = field(default_factory=dict)
    """Further options of the head itself, such as `width` or `dropout`."""
    top: int = 3
    """Features that `attention-topn` keeps: those that are best alone on validation clips."""
    epochs: int = 100
    """Passes over the training clips at most."""
    patience: int = 15
    """Epochs without a better validation score before training stops."""
    select: Selection = "loss"
    """Validation score that decides which epoch is kept. The F1 of some dozens of clips jumps: it keeps lucky
    early epochs where the loss does not. With weighted_f1 ties go to the lower loss. combined is weighted F1
    - 0.25 MSE of the valence, as MER2023 scores."""
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
    vat: float = 0.0
    """Weight of the virtual adversarial loss; 0 is without."""
    vat_radius: float = 2.0
    """How far virtual adversarial training moves a clip's features, in their standard deviations."""
    valence: float = 0.0
    """Weight of the squared error of the valence, a second output; 0 is without."""
    soft_labels: bool = False
    """Train on the shares of the annotators' votes instead of the label."""
    val_share: float = 0.2
    """Share of the training speakers held out where the manifest has no validation split."""
    seed: int = 0
    """Of initialisation, order, dropout and held-out speakers."""

    def mistakes(self) -> list[str]:
        """What is out of range, which types cannot say."""
        ranges = {
            "top": self.top >= 1,
            "epochs": self.epochs >= 1,
            "patience": self.patience >= 1,
            "batch_size": self.batch_size >= 1,
            "learning_rate": self.learning_rate > 0,
            "weight_decay": self.weight_decay >= 0,
            "clip_norm": self.clip_norm > 0,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "modality_dropout": 0 <= self.modality_dropout <= 1,
            "vat": self.vat >= 0,
            "vat_radius": self.vat_radius > 0,
            "valence": self.valence >= 0,
            "val_share": 0 < self.val_share < 1,
        }
        wrong = [
            f"{name}: {getattr(self, name):g} is out of range." for name, fits in ranges.items() if not fits
        ]
        if self.select == "combined" and not self.valence > 0:
            wrong.append("select: combined needs a valence. Train with --valence, or select by loss.")
        return wrong
