"""On what encoders run: which device, in which precision, compiled or not.

torch is asked only where the machine has a driver for a card, so planning on a CPU does not import it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from emo.errors import ConfigError

Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS = ("float32", "bfloat16", "float16")
DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Running:
    """`device` is `cpu`, `cuda` or `cuda:N`; the precision is part of a feature's fingerprint."""

    device: str = "cpu"
    precision: Precision = "float32"
    compiled: bool = False

    def options(self) -> dict[str, Any]:
        """What an encoder's class is told: what differs from what it does by itself."""
        told: dict[str, Any] = {"device": self.device, "precision": self.precision}
        return told | {"compiled": True} if self.compiled else told


def running_on(device: str = "auto", precision: str = "auto", *, compiled: bool = False) -> Running:
    """What `auto` means here: the card where there is one, and on it bfloat16 (float16 where the card has no
    bfloat16); float32 on a CPU, where halves are slower.

    ConfigError for a device that is not here and for names that are none.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise ConfigError(f"device {device!r} is none of auto, cpu, cuda, cuda:N.")
    if precision not in ("auto", *PRECISIONS):
        raise ConfigError(f"precision {precision!r} is none of auto, {', '.join(PRECISIONS)}.")
    if device == "auto":
        device = "cuda" if DRIVER.exists() and _cards() else "cpu"
    elif device != "cpu" and int(device.partition(":")[2] or 0) >= _cards():
        raise ConfigError(
            f"device {device} is not here: PyTorch sees {_cards() or 'no'} cards. Look at `nvidia-smi`, or "
            "leave --device out."
        )
    if precision == "auto":
        precision = "float32" if device == "cpu" else _half()
    return Running(device, cast(Precision, precision), compiled)


def _cards() -> int:
    import torch

    return torch.cuda.device_count()


def _half() -> Precision:
    import torch

    return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
