"""The option `--device` and what is wrong with a device, said before anything is loaded.

Knows nothing of models. torch is imported only where a card is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from emo.errors import ConfigError

_KNOWN = re.compile(r"cpu|cuda(:\d+)?")


class DeviceName(click.ParamType):
    """`cpu`, `cuda` or `cuda:N`, as text; anything else is a usage error."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`value` as it is, where it names a device."""
        if not _KNOWN.fullmatch(str(value)):
            self.fail(f"{value!r} is none of cpu, cuda, cuda:N.", param, ctx)
        return str(value)


def device_option() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option, for a command that gets `device`."""
    return click.option(
        "--device", type=DeviceName(), default="cpu", show_default=True, help="cpu, cuda or cuda:N."
    )


def refuse_absent(device: str, *, cards: int = 1) -> None:
    """ConfigError where this machine lacks the card that `device` names, or has fewer than `cards`."""
    if device == "cpu":
        return
    import torch

    _, _, number = device.partition(":")
    needed, here = int(number) + 1 if number else cards, torch.cuda.device_count()
    if here < needed:
        wanted = "1 CUDA card" if needed == 1 else f"{needed} CUDA cards"
        raise ConfigError(
            f"device {device} needs {wanted}; PyTorch sees {here or 'none'} here. "
            "Look at `nvidia-smi`, or leave --device out for the CPU."
        )
