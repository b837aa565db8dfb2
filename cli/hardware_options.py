"""The options that say what a LLaMA stage runs on, as one decorator."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from emo.cli.device_option import device_option, dtype_option

if TYPE_CHECKING:
    from emo.config.hardware import HardwareConfig

_OPTIONS = (
    device_option(trains=True),
    dtype_option(),
    click.option("--gpus", type=int, default=1, show_default=True, help="Ranks, started by torchrun."),
    click.option(
        "--strategy",
        type=click.Choice(["ddp", "fsdp2"]),
        default="ddp",
        show_default=True,
        help="The whole LLaMA on every rank, or a slice of each layer.",
    ),
    click.option(
        "--bits",
        type=click.Choice(["16", "8", "4"]),
        default="16",
        show_default=True,
        help="Of the frozen layers; 8 and 4 need the extra lowbit.",
    ),
    click.option("--checkpointing", is_flag=True, help="Less memory: activations are made twice."),
    click.option("--compile", is_flag=True, help="Compile each decoder layer (CUDA)."),
    click.option("--threads", type=int, default=0, help="CPU threads a rank.  [default: PyTorch's choice]"),
)


def hardware_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the hardware's options to a command, which gets them as one `hardware: HardwareConfig`."""

    @wraps(command)
    def gathered(*args: Any, bits: str, **others: Any) -> None:
        own = {name: others.pop(name) for name in _NAMES}
        command(*args, hardware=_hardware(bits=int(bits), **own), **others)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


_NAMES = ("device", "dtype", "gpus", "strategy", "checkpointing", "compile", "threads")


def _hardware(**settings: Any) -> HardwareConfig:
    from emo.config.hardware import HardwareConfig

    return HardwareConfig(**settings)
