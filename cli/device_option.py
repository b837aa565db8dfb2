"""The options `--device` and `--dtype`, and what is wrong with a device, said before anything is loaded.

Knows nothing of models. torch is imported only where a card is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec

import click

from emo.errors import ConfigError, MissingDependency

_KNOWN = re.compile(r"cpu|cuda(:\d+)?|mps")
_TRAINS = re.compile(r"cpu|cuda(:\d+)?")


def device_option(*, trains: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option, for a command that gets `device`; another word than those it names is a usage error.

    A command that `trains` takes no Apple GPU: nothing was ever trained on one here.
    """
    return click.option(
        "--device",
        default="cpu",
        show_default=True,
        callback=_trains if trains else _known,
        help="cpu, cuda or cuda:N." if trains else "cpu, cuda, cuda:N or mps (Apple).",
    )


def bits_option() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--bits` of a LLaMA that is asked, for a command that gets `bits` as text."""
    return click.option(
        "--bits",
        type=click.Choice(["16", "8", "4"]),
        default="16",
        show_default=True,
        help="Of the LLaMA's layers; 8 and 4 need CUDA and the extra lowbit.",
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
        raise click.BadParameter(f"{device!r} is none of cpu, cuda, cuda:N, mps.")
    return device


def _trains(_ctx: click.Context, _parameter: click.Parameter, device: str) -> str:
    if not _TRAINS.fullmatch(device):
        raise click.BadParameter(f"{device!r} is none of cpu, cuda, cuda:N.")
    return device


def refuse_absent(device: str, *, cards: int = 1) -> None:
    """ConfigError where this machine lacks the card that `device` names, or has fewer than `cards`."""
    if device == "cpu":
        return
    import torch

    if device == "mps":
        from emo.extractors.running import refuse_no_apple

        refuse_no_apple()
        return
    _, _, number = device.partition(":")
    needed, here = int(number) + 1 if number else cards, torch.cuda.device_count()
    if here < needed:
        wanted = "1 CUDA card" if needed == 1 else f"{needed} CUDA cards"
        raise ConfigError(
            f"device {device} needs {wanted}; PyTorch sees {here or 'none'} here. "
            "Look at `nvidia-smi`, or leave --device out for the CPU."
        )


def refuse_bits(bits: int, device: str) -> None:
    """MissingDependency where 8 or 4 bits need bitsandbytes and it is absent, ConfigError on another device
    than a CUDA card."""
    from emo.config.hardware import WHOLE_BITS

    if bits == WHOLE_BITS:
        return
    if find_spec("bitsandbytes") is None:
        raise MissingDependency(f"{bits} bits need bitsandbytes: pip install 'emo-toolkit[lowbit]'")
    if device.partition(":")[0] != "cuda":
        raise ConfigError(f"a LLaMA of {bits} bits needs --device cuda, not {device}.")
