"""The options that say which trained model answers and from which cache, shared by the verbs that ask it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from emo.cli.device_option import bits_option, device_option, dtype_option, refuse_absent, refuse_bits
from emo.cli.study_options import cache_option

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
    device_option(),
    dtype_option(),
    bits_option(),
    click.option("--force", is_flag=True, help="Accept another LLaMA, and features of another recipe."),
)


def model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets `model`, `cache`, `force` and, as `loading`, the others."""
    return _with_options(command, model_required=True)


def optional_model_options(command: Callable[..., None]) -> Callable[..., None]:
    """As `model_options`, for a command that has something to do without a model: `model` may be None."""
    return _with_options(command, model_required=False)


def _with_options(command: Callable[..., None], *, model_required: bool) -> Callable[..., None]:
    @wraps(command)
    def gathered(
        *args: Any, base: str | None, labels: str, device: str, dtype: str, bits: str, **others: Any
    ) -> None:
        loading = {
            "base": base,
            "labels": labels_named(labels),
            "device": device,
            "dtype": dtype,
            "bits": int(bits),
        }
        command(*args, loading=loading, **others)

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


def loaded(model: str, loading: dict[str, Any], *, force: bool, decoding: Decoding | None = None) -> System:
    """The trained system that the options name. Errors as `load_system`."""
    from pathlib import Path

    from emo.pipeline.systems import REASONS, load_system

    refuse_absent(loading["device"])
    refuse_bits(loading["bits"], loading["device"])
    return load_system(Path(model), force=force, decoding=decoding or REASONS, **loading)


def answers_digest(
    model: str,
    spaces: Mapping[str, Space],
    loading: Mapping[str, Any],
    force: bool,
    abstain_below: float,
    *,
    reasons: bool,
    **decoding: Any,
) -> str:
    """The digest of all that decides what the model of the options answers, features included."""
    from pathlib import Path

    from emo.config.hardware import WHOLE_BITS
    from emo.pipeline.answer_identity import run_digest

    unusual: dict[str, Any] = {"labels": list(loading["labels"])} if loading["labels"] else {}
    if loading["bits"] != WHOLE_BITS:
        unusual["bits"] = loading["bits"]
    return run_digest(
        Path(model),
        spaces,
        base=loading["base"],
        force=force,
        dtype=loading["dtype"],
        **unusual,
        abstain_below=abstain_below,
        reasons=reasons,
        **decoding,
    )


def note_unknown(speaker: Voice, system: System, spaces: Mapping[str, Space]) -> None:
    """Say which features are taken as they are, because the model does not say what it was trained on."""
    taken = [space.name for name, space in spaces.items() if name not in system.sources]
    if taken:
        speaker.note(
            f"the model does not say which features it was trained on; taken as they are: {', '.join(taken)}"
        )
