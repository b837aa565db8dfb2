"""Virtual adversarial training: the answer must not change where features move a little, whichever way.

Miyato et al. 2018, arXiv:1704.03976, section 3.3: the direction that changes the answer most is found by one
step of power iteration; no labels are needed. Knows a model and a FeatureBatch, no training loop.

Axes: B batch, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emo.heads.batches import FeatureBatch

FIRST_STEP = 0.1  # length of the random step whose gradient shows the worst direction


def virtual_adversarial_loss(
    model: nn.Module, batch: FeatureBatch, classes: int, radius: float, generator: torch.Generator
) -> Tensor:
    """Mean KL divergence between the answers to the clips and to the clips moved by `radius`, a scalar.

    `radius` is the length of the move over all features of a clip together, in standard deviations of the
    features. The model answers without dropout, whose noise would drown the move. `generator` is on the CPU.
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            clean = model(batch)[:, :classes].log_softmax(dim=1)
        worst = worst_direction(model, batch, classes, clean, generator)
        return _divergence(model, _moved(batch, worst, radius), classes, clean)
    finally:
        model.train(training)


def worst_direction(
    model: nn.Module, batch: FeatureBatch, classes: int, clean: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """By feature, the direction of length 1 in which the answers leave `clean` (B, K) fastest."""
    start = {
        name: torch.randn(value.shape, generator=generator).to(value) for name, value in batch.values.items()
    }
    steps = {name: part.requires_grad_() for name, part in _unit(batch, start).items()}
    divergence = _divergence(model, _moved(batch, steps, FIRST_STEP), classes, clean)
    found = torch.autograd.grad(divergence, list(steps.values()), allow_unused=True)
    gradients = {
        name: torch.zeros_like(steps[name]) if part is None else part
        for name, part in zip(steps, found, strict=True)
    }
    return _unit(batch, gradients)


def _divergence(model: nn.Module, batch: FeatureBatch, classes: int, clean: Tensor) -> Tensor:
    moved = model(batch)[:, :classes].log_softmax(dim=1)
    divergence: Tensor = (clean.exp() * (clean - moved)).sum(dim=1).mean()
    return divergence


def _moved(batch: FeatureBatch, direction: dict[str, Tensor], length: float) -> FeatureBatch:
    return batch.with_values({name: value + length * direction[name] for name, value in batch.values.items()})


def _unit(batch: FeatureBatch, direction: dict[str, Tensor]) -> dict[str, Tensor]:
    """`direction` with 0 where nothing is there, scaled to length 1 over all features of a clip."""
    kept = batch.with_values(direction)
    parts = {name: kept.present(name) for name in batch.names}
    squares = torch.stack([part.flatten(1).square().sum(dim=1) for part in parts.values()]).sum(dim=0)
    scale = squares.sqrt().clamp(min=1e-12).reciprocal()
    return {name: (part * scale.view(-1, *[1] * (part.dim() - 1))).detach() for name, part in parts.items()}
