"""The training loop of the tiny encoders: AdamW, warm-up, cosine. Knows learners, no encoder and no data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from emo.config.tiny_encoders import Course
from emo.errors import NonFiniteLoss
from emo.pipeline.tiny_learners import Learner

LARGEST_GRADIENT = 1.0  # norm at which gradients are cut
REPORTS = 10  # a course


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """After `step` of `steps`: mean loss since the last report, and R squared on held-out people."""

    step: int
    steps: int
    loss: float
    scores: dict[str, float] = field(default_factory=dict)


def fit(learner: Learner, course: Course, rng: np.random.Generator) -> Iterator[Progress]:
    """Train `learner` in place; yields REPORTS times, the last time when it is done.

    Raises NonFiniteLoss before a step on a loss that is not finite.
    """
    optimizer = _optimizer(learner, course)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    losses: list[float] = []
    for step in range(1, course.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, course)
        loss = learner.loss(rng, course.batch)
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise NonFiniteLoss(
                f"Loss {losses[-1]} at step {step} of {course.steps}: lower the learning rate."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
        optimizer.step()
        if step % max(1, course.steps // REPORTS) == 0 or step == course.steps:
            yield Progress(
                step=step, steps=course.steps, loss=float(np.mean(losses)), scores=_scores(learner)
            )
            losses = []


def learning_rate(step: int, course: Course) -> float:
    """At `step`, from 1: linear to the full rate over the warm-up, cosine to zero over the course."""
    warm = min(1.0, step / course.warm_up)
    return course.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * (step - 1) / course.steps))


def _optimizer(learner: Learner, course: Course) -> torch.optim.AdamW:
    """Weight decay on matrices and filters, none on biases and gains."""
    parameters = [*learner.model.parameters(), *learner.heads.parameters()]
    decayed = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": course.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=course.learning_rate, betas=(0.9, 0.98))


def _scores(learner: Learner) -> dict[str, float]:
    learner.model.eval()
    with torch.inference_mode():
        scores = learner.scores()
    learner.model.train()
    return scores
