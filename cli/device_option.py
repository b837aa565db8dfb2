"""The options `--device` and `--dtype`, and what is wrong with a device, said before anything is loaded.

Knows nothing of models. torch is imported only where a card is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import click

from emo.errors import ConfigError

_KNOWN = re.compile(r"cpu|cuda(:\d+)?")


def device_option() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option, for a command that gets `device`; another word than those it names is a usage error."""
    return click.option(
        "--device", default="cpu", show_default=True, callback=_known, help="cpu, cuda or cuda:N."
    )


def dtype_option() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option, for a command that gets `dtype`."""
    return click.option(
        "--dtype",
        type=click.Choice(["float32", "bfloat16", "float16"]),
        default="float32",
        show_default=True,
        help="Of the frozen LLaMA.",
    )


def _known(_ctx: click.Context, _parameter: click.Parameter, device: str) -> str:
    if not _KNOWN.fullmatch(device):
        raise click.BadParameter(f"{device!r} is none of cpu, cuda, cuda:N.")
    return device


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
