"""AdamW over what a stage trains, and the step that refuses NaN. Knows no examples and no schedule.

Source of the groups: Emotion-LLaMA at commit 4ee28d2, minigpt4/models/base_model.py, which exempts
tensors of fewer than two axes from weight decay (and names that contain "ln" or "bn", of which the trained
parts have none).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from emo.config.llm import StageConfig
from emo.errors import NonFiniteLoss

PATIENCE = 3  # refused steps in a row that end the run


def adamw(parameters: Iterable[nn.Parameter], config: StageConfig) -> torch.optim.AdamW:
    """AdamW with decay on matrices only."""
    trained = list(parameters)
    groups = [
        {"params": [value for value in trained if value.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [value for value in trained if value.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.peak_lr,
        betas=config.betas,
        eps=config.eps,
    )


class CarefulStep:
    """Steps an optimiser only on finite losses and gradients."""

    def __init__(self, optimiser: torch.optim.Optimizer, clip_norm: float | None) -> None:
        self.optimiser = optimiser
        self._limit = float("inf") if clip_norm is None else clip_norm
        self._refused = 0

    def __call__(self, loss: float, learning_rate: float, clip_ids: Sequence[str]) -> tuple[bool, float]:
        """Whether the step was taken, and the gradients' norm before clipping; gradients are cleared.

        NonFiniteLoss names the clips of the batch when PATIENCE steps in a row were refused.
        """
        values: list[Tensor] = [value for group in self.optimiser.param_groups for value in group["params"]]
        norm = float(nn.utils.clip_grad_norm_(values, self._limit))
        sound = torch.isfinite(torch.tensor([loss, norm])).all().item()
        if sound:
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._refused = 0 if sound else self._refused + 1
        if self._refused >= PATIENCE:
            raise NonFiniteLoss(
                f"loss {loss}, gradient norm {norm}: {PATIENCE} steps in a row were not finite and none was "
                f"taken. The last batch was {', '.join(clip_ids)}. Lower peak_lr or look at these features."
            )
        return bool(sound), norm
