"""The options that say which trained model answers and from which cache, shared by the verbs that ask it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.device_option import bits_option, device_option, dtype_option, refuse_absent, refuse_bits
from emo.cli.study_options import Decorator, cache_option

if TYPE_CHECKING:
    from emo.cache import Space
    from emo.cli.console import Voice
    from emo.config.decoding import Decoding
    from emo.pipeline.systems import System

_OPTIONS = (
    cache_option(),
    click.option("--base", help="Where the LLaMA is now.  [default: where it was in training]"),
    click.option(
        "--labels",
        default="",
        help="Labels that projectors score, or that a system of others is asked for: a set, or LABEL,...",
    ),
    click.option("--head", metavar="MODULE:CLASS", help="Import this code of your own: a head made of it."),
    device_option(),
    dtype_option(),
    bits_option(),
    click.option("--force", is_flag=True, help="Accept another LLaMA, and features of another recipe."),
)


def abstain_option(says: str = "No label where its probability is below P.") -> Decorator:
    """`--abstain-below`: the probability from which on a label counts; `says` for what."""
    return click.option("--abstain-below", type=click.FloatRange(0, 1), default=0.0, metavar="P", help=says)


def model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets `model`, `cache`, `force` and, as `loading`, the others."""
    return _with_options(command, model_required=True)


def optional_model_options(command: Callable[..., None]) -> Callable[..., None]:
    """As `model_options`, for a command that has something to do without a model: `model` may be None."""
    return _with_options(command, model_required=False)


def _with_options(command: Callable[..., None], *, model_required: bool) -> Callable[..., None]:
    @wraps(command)
    def gathered(*args: Any, labels: str, bits: str, **others: Any) -> None:
        loading = {name: others.pop(name) for name in ("base", "head", "device", "dtype")}
        command(*args, loading={**loading, "labels": labels_named(labels), "bits": int(bits)}, **others)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return click.option(
        "--model",
        "--system",
        "model",
        required=model_required,
        type=click.Path(),
        help="Folder of a trained head or LLaMA stage.",
    )(gathered)


def labels_named(name: str) -> tuple[str, ...]:
    """The label set called `name`, or the labels it lists; none for ""."""
    from emo.labels import LABEL_SETS

    listed = tuple(label.strip() for label in name.split(",") if label.strip())
    return LABEL_SETS.get(name, listed)


def loaded(
    model: str,
    loading: dict[str, Any],
    *,
    force: bool,
    decoding: Decoding | None = None,
    calibrated: bool = True,
) -> System:
    """The trained system that the options name. Errors as `load_system`."""
    from emo.pipeline.systems import REASONS, load_system

    refuse_absent(loading["device"])
    refuse_bits(loading["bits"], loading["device"])
    if loading["head"]:
        look_here()
    decoding = decoding or REASONS
    return load_system(Path(model), force=force, decoding=decoding, calibrated=calibrated, **loading)


def look_here() -> None:
    """Let code of the user's own be imported from the folder the command is typed in, after all others."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)


def note_unknown(speaker: Voice, system: System, spaces: Mapping[str, Space]) -> None:
    """Say which features are taken as they are, because the model does not say what it was trained on."""
    taken = [space.name for name, space in spaces.items() if name not in system.sources]
    if taken:
        speaker.note(
            f"the model does not say which features it was trained on; taken as they are: {', '.join(taken)}"
        )
