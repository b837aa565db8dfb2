"""AdamW over what a stage trains, and the step that refuses NaN. Knows no examples and no schedule.

Source of the groups: Emotion-LLaMA at commit 4ee28d2, minigpt4/models/base_model.py, which exempts
tensors of fewer than two axes from weight decay (and names that contain "ln" or "bn", of which the trained
parts have none).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, isfinite

import torch
from torch import nn

from emo.config.llm import StageConfig
from emo.errors import NonFiniteLoss
from emo.llm.sharding import is_sharded
from emo.llm.training.distributed import ALONE, Crew

PATIENCE = 3  # refused steps in a row that end the run


def adamw(parameters: Iterable[nn.Parameter], config: StageConfig) -> torch.optim.AdamW:
    """AdamW with decay on matrices only. Sharded parameters are groups of their own: one kernel call cannot
    take both kinds."""
    trained = list(parameters)
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for value in trained:
        groups.setdefault((value.ndim < 2, is_sharded(value)), []).append(value)
    return torch.optim.AdamW(
        [
            {"params": groups[kind], "weight_decay": 0.0 if kind[0] else config.weight_decay}
            for kind in sorted(groups)
        ],
        lr=config.peak_lr,
        betas=config.betas,
        eps=config.eps,
        fused=all(value.is_cuda for value in trained),
    )


class CarefulStep:
    """Steps an optimiser only on finite losses and gradients. `refused` counts the refusals in a row."""

    def __init__(self, optimiser: torch.optim.Optimizer, clip_norm: float | None, crew: Crew = ALONE) -> None:
        self.optimiser = optimiser
        self._crew = crew
        self.refused = 0
        self._limit = inf if clip_norm is None else clip_norm
        self._last = ""

    def __call__(self, loss: float, learning_rate: float, clip_ids: Sequence[str]) -> tuple[bool, float]:
        """Whether the step was taken, and the gradients' norm before clipping; gradients are cleared."""
        values: list[nn.Parameter] = [
            value for group in self.optimiser.param_groups for value in group["params"]
        ]
        norm = self._crew.clip_gradients(values, self._limit)
        sound = isfinite(loss) and isfinite(norm)
        if sound:
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.refused = 0 if sound else self.refused + 1
        self._last = f"loss {loss}, gradient norm {norm}, clips {', '.join(clip_ids)}"
        return sound, norm

    def refuse_to_go_on(self) -> None:
        """NonFiniteLoss, with the clips of the last batch, where PATIENCE steps in a row were refused."""
        if self.refused >= PATIENCE:
            raise NonFiniteLoss(
                f"{self.refused} steps in a row were not finite and none was taken; the last had "
                f"{self._last}. Lower peak_lr or look at these features."
            )
