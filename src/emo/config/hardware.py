"""Settings of the machine that the LLaMA stage runs on: what fits a card, never what is learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emo.errors import ConfigError

Precision = Literal["float32", "bfloat16", "float16"]
Strategy = Literal["ddp", "fsdp2"]
WHOLE_BITS = 16  # the frozen weights as `dtype` says


@dataclass(frozen=True, kw_only=True, slots=True)
class HardwareConfig:
    """Where and how a stage runs. Adapters and projectors are fp32 whatever `dtype` says of the frozen base.

    `gpus` counts ranks of one machine; on a CPU they are processes. "ddp" gives each rank the whole base,
    "fsdp2" a slice of every decoder layer. `bits` 8 or 4 quantises the frozen linear layers (bitsandbytes).
    `checkpointing` keeps only what enters each decoder layer and makes the rest again in the backward pass.
    `compile` compiles each decoder layer. `threads` 0 leaves the number to PyTorch.

    ConfigError where these do not go together; it names every contradiction.
    """

    device: str = "cpu"
    dtype: Precision = "float32"
    gpus: int = 1
    strategy: Strategy = "ddp"
    bits: int = WHOLE_BITS
    checkpointing: bool = False
    compile: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        if mistakes := self._mistakes():
            raise ConfigError(*mistakes)

    @property
    def on_cuda(self) -> bool:
        """Whether the device is an NVIDIA card."""
        return self.device.partition(":")[0] == "cuda"

    def _mistakes(self) -> list[str]:
        found = []
        if self.gpus < 1:
            found.append(f"gpus is {self.gpus}: give 1 or more.")
        if self.gpus > 1 and ":" in self.device:
            found.append(f"{self.gpus} gpus cannot all be {self.device}: give device cuda or cpu.")
        if self.bits not in (4, 8, WHOLE_BITS):
            found.append(f"bits is {self.bits}: give 4, 8 or {WHOLE_BITS}.")
        if self.bits != WHOLE_BITS and not self.on_cuda:
            found.append(f"a base of {self.bits} bits needs device cuda, not {self.device}.")
        if self.bits != WHOLE_BITS and self.strategy == "fsdp2":
            found.append(f"fsdp2 cannot slice a base of {self.bits} bits: use strategy ddp, or bits 16.")
        if self.compile and not self.on_cuda:
            found.append(f"compile gains nothing on {self.device} and takes minutes: leave it out.")
        return found
