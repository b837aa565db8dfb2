"""Learning rate over the steps of a stage. Knows no optimiser and no model.

Source: Emotion-LLaMA at commit 4ee28d2, minigpt4/common/optims.py, with one difference: the official
warm-up counts steps inside an epoch and starts again with every epoch while it lasts; this one does not.
The two agree wherever the warm-up is no longer than an epoch, as in all published settings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WarmupCosine:
    """Linear rise from `start` to `peak`, then a half cosine from `peak` to `floor`.

    The cosine runs over all `total` steps and is not shifted by the warm-up, so the rate drops a little
    where it takes over: the official shape.
    """

    peak: float
    floor: float
    start: float
    warmup: int
    total: int

    def __call__(self, step: int) -> float:
        """Rate of optimiser step `step`, counted from 0."""
        if step < self.warmup:
            return self.start + (self.peak - self.start) * step / self.warmup
        half_wave = 0.5 * (1.0 + math.cos(math.pi * step / self.total))
        return self.floor + (self.peak - self.floor) * half_wave
