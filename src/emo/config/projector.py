"""Settings of `emo train-head projector`. Knows no room's code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectorConfig:
    """One run of `emo train-head projector`.

    Which slots are filled from which arrays, and whether features are z-scored, is the LLaMA recipe's to say,
    so that the run can be the start of `emo train-llm` with the same recipe.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)
    """Slot to kind of projector, where it is not the official one."""
    fusion: bool = False
    """Also train the v2 pre-fusion of all features, which counts as one more slot when labels are scored."""
    epochs: int = 100
    """Passes over the training clips at most."""
    patience: int = 10
    """Epochs without a lower validation loss before training stops."""
    batch_size: int = 64
    """Clips in a step; the captions of the others are what a clip's caption is told from."""
    learning_rate: float = 1e-3
    """Of AdamW, constant."""
    weight_decay: float = 1e-1
    """Of AdamW, on matrices only."""
    clip_norm: float = 1.0
    """Largest gradient norm of a step."""
    temperature: float = 0.1
    """What cosines are divided by at the start; learnt from there."""
    captions: float = 0.5
    """Weight of the captions in the loss beside the labels, which have 1."""
    modality_dropout: float = 0.2
    """Chance to hide a slot of a clip in training; a clip never loses its last one."""
    scale: float = 1.0
    """Spread of the projected vectors in the end, in units of the word embeddings' spread."""
    val_share: float = 0.2
    """Share of the training speakers held out where the manifest has no validation split."""
    seed: int = 0
    """Of initialisation, order, dropout and held-out speakers."""
