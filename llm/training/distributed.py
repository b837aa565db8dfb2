"""The crew: the ranks that train one model together, a crew of one being the usual case.

A step's micro-batches are dealt out, their gradients are summed (never averaged: the loss is divided by the
supervised tokens of all ranks before), and every rank then knows the same loss and the same norm, so all of
them take a step or none does. Knows no examples and no optimiser. See docs/decisions/0005-several-ranks.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import torch
from torch import Tensor, nn

from emo.config.hardware import HardwareConfig
from emo.errors import ConfigError
from emo.llm.packing.balance import shares
from emo.llm.sharding import is_sharded, local

CPU = torch.device("cpu")
PATIENCE = timedelta(minutes=30)  # the first rank may hash or save 13 GB while the others wait


@dataclass(frozen=True, slots=True)
class Turn:
    """A micro-batch as one rank takes it: the `number`-th of the step.

    One that does not count is run with its loss times 0, because ranks that share slices of the layers must
    call them equally often.
    """

    number: int
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Crew:
    """`rank` of `ranks`. `sliced` where decoder layers are sharded over the ranks."""

    rank: int = 0
    ranks: int = 1
    device: torch.device = CPU
    sliced: bool = False

    @property
    def is_first(self) -> bool:
        """The one rank that writes and speaks."""
        return self.rank == 0

    def share(self, count: int, lengths: Callable[[], Sequence[int]]) -> list[Turn]:
        """This rank's turns at `count` micro-batches. Every rank deals alike, by their `lengths`."""
        if self.ranks == 1:
            return [Turn(number) for number in range(count)]
        dealt = shares(lengths(), self.ranks)
        mine = [Turn(number) for number in dealt[self.rank]]
        idle = max(map(len, dealt)) - len(mine) if self.sliced else 0
        return mine + [Turn(dealt[self.rank][-1] if mine else 0, counts=False)] * idle

    def sum_gradients(self, loss: float, parameters: Iterable[nn.Parameter]) -> float:
        """Leave the sum over the ranks in each parameter's gradient; returns the sum of `loss`.

        A parameter without a gradient on any rank keeps none, so that the optimiser passes over it as it
        would in one process. Sharded parameters have been summed already, in the backward pass.
        """
        if self.ranks == 1:
            return loss
        from torch import distributed

        whole = [value for value in parameters if not is_sharded(value)]
        facts = torch.tensor([loss, *(value.grad is not None for value in whole)], dtype=torch.float64)
        facts = facts.to(self.device)
        distributed.all_reduce(facts)
        total, *used = facts.tolist()
        summed = [value for value, count in zip(whole, used, strict=True) if count]
        if summed:
            self._sum_in_one([_gradient(value) for value in summed])
        return float(total)

    def _sum_in_one(self, gradients: Sequence[Tensor]) -> None:
        from torch import distributed

        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        pieces = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))

    def clip_gradients(self, parameters: Sequence[nn.Parameter], limit: float) -> float:
        """Scale the whole gradient down to the norm `limit`; returns the norm before."""
        if not self.sliced:
            return float(nn.utils.clip_grad_norm_(parameters, limit))
        norm = self.gradient_norm(parameters)
        if norm > limit:
            for value in parameters:
                if value.grad is not None:
                    local(value.grad).mul_(limit / norm)
        return norm

    def gradient_norm(self, parameters: Iterable[nn.Parameter]) -> float:
        """L2 norm of the whole gradient, every slice counted once."""
        with_gradient = [value for value in parameters if value.grad is not None]
        whole = [cast(Tensor, value.grad) for value in with_gradient if not is_sharded(value)]
        slices = [local(cast(Tensor, value.grad)) for value in with_gradient if is_sharded(value)]
        norm = float(nn.utils.get_total_norm(whole)) if whole else 0.0
        if not self.sliced:
            return norm
        return float((norm**2 + self.sum(float(nn.utils.get_total_norm(slices)) ** 2)) ** 0.5)

    def sum(self, value: float) -> float:
        """The sum of a number over the ranks."""
        if self.ranks == 1:
            return value
        from torch import distributed

        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return float(total)

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank."""
        return self.sum(float(flag)) > 0

    def agreed(self, values: Sequence[float | None]) -> list[float | None]:
        """The first rank's numbers, so that decisions on them cannot differ; None stays None."""
        if self.ranks == 1:
            return list(values)
        from torch import distributed

        filled = [float("nan") if value is None else value for value in values]
        sent = torch.tensor(filled, dtype=torch.float64, device=self.device)
        distributed.broadcast(sent, src=0)
        return [None if value is None else got for value, got in zip(values, sent.tolist(), strict=True)]

    def told(self, text: str) -> str:
        """The first rank's text."""
        if self.ranks == 1:
            return text
        from torch import distributed

        words = list(text.encode())
        length = torch.tensor(len(words), device=self.device)
        distributed.broadcast(length, src=0)
        sent = torch.tensor(words if self.is_first else [0] * int(length), dtype=torch.uint8).to(self.device)
        distributed.broadcast(sent, src=0)
        return bytes(sent.tolist()).decode()

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.sum(0.0)


ALONE = Crew()


@contextmanager
def assembled(hardware: HardwareConfig) -> Iterator[Crew]:
    """The crew that torchrun started this process in, or a crew of one where it did not.

    ConfigError where several gpus are asked for and nobody started the other ranks.
    """
    if hardware.threads:
        torch.set_num_threads(hardware.threads)
    if "RANK" not in os.environ:
        if hardware.gpus > 1:
            raise ConfigError(
                f"{hardware.gpus} gpus need a process each. Start with: emo train-llm --gpus {hardware.gpus}"
            )
        yield Crew(device=torch.device(hardware.device))
        return
    from torch import distributed

    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    device = CPU
    if hardware.on_cuda:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if hardware.on_cuda else "gloo", timeout=PATIENCE)
    try:
        yield Crew(rank, ranks, device, sliced=hardware.strategy == "fsdp2" and ranks > 1)
    finally:
        distributed.destroy_process_group()


def slice_layers(causal: nn.Module, crew: Crew) -> None:
    """Shard every decoder layer of a causal LM, its adapters among it, over the ranks (FSDP2).

    Embeddings, final norm and head stay whole on every rank: they are called outside the body's forward.
    Gradients of sharded parameters are summed in the backward pass.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    body = cast(Any, causal).base_model
    mesh = init_device_mesh(crew.device.type, (crew.ranks,))
    for layer in body.layers:
        fully_shard(layer, mesh=mesh)
    outside = {value for value in body.parameters() if not is_sharded(value)}
    fully_shard(body, mesh=mesh, ignored_params=outside)
    for part in body.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
    causal.to(crew.device)


def _gradient(value: nn.Parameter) -> Tensor:
    """The gradient, zeros where this rank has none."""
    if value.grad is None:
        value.grad = torch.zeros_like(value)
    return value.grad
