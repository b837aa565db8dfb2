"""On what encoders run: which device, in which precision, compiled or not.

torch is asked only where the machine has a driver for a card, so planning on a CPU does not import it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from emo.errors import ConfigError

Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Running:
    """What every encoder is told of where and how it runs; ConfigError for a precision that is none.

    `device` is `cpu`, `cuda`, `cuda:N`, `mps` (Apple) or `auto`: CUDA where there is one. `precision` is part
    of a feature's fingerprint. `compiled` goes through torch.compile, which takes minutes once and moves the
    last bits.
    """

    device: str = "auto"
    precision: Precision = "float32"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision {self.precision!r} is none of {', '.join(PRECISIONS)}.")


USUAL = Running()


def running_on(device: str = "auto", precision: str = "auto", *, compiled: bool = False) -> Running:
    """What `auto` means here: the card where there is one, and on it bfloat16 (float16 where the card has no
    bfloat16); float32 on a CPU, where halves are slower, and on an Apple GPU.

    ConfigError for a device that is not here and for names that are none.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", device):
        raise ConfigError(f"device {device!r} is none of auto, cpu, cuda, cuda:N, mps.")
    if precision not in ("auto", *PRECISIONS):
        raise ConfigError(f"precision {precision!r} is none of auto, {', '.join(PRECISIONS)}.")
    if device == "auto":
        device = "cuda" if DRIVER.exists() and _cards() else "cpu"
    elif device == "mps":
        refuse_no_apple()
    elif device != "cpu" and int(device.partition(":")[2] or 0) >= _cards():
        raise ConfigError(
            f"device {device} is not here: PyTorch sees {_cards() or 'no'} cards. Look at `nvidia-smi`, or "
            "leave --device out."
        )
    if precision == "auto":
        precision = _half() if device.startswith("cuda") else "float32"
    return Running(device, cast(Precision, precision), compiled)


def _cards() -> int:
    import torch

    return torch.cuda.device_count()


def refuse_no_apple() -> None:
    """ConfigError where this machine has no Apple GPU that PyTorch can use."""
    import torch

    if not torch.backends.mps.is_available():
        raise ConfigError("device mps needs an Apple GPU; PyTorch sees none here. Leave --device out.")


def _half() -> Precision:
    import torch

    return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
