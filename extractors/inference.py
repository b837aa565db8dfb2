"""How a frozen model is run: loaded when first used, evaluation mode, no gradients, full fp32 products.

Knows devices and precisions; knows no encoder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.errors import CheckpointError
from emo.extractors.running import Running

if TYPE_CHECKING:
    import torch
    from torch import nn


class FrozenModel:
    """A model that `load` makes when it is first needed, on what `running` says.

    A `small` model runs in one thread: on layers this narrow more threads only wait for each other, at
    ten times the processor time.
    """

    def __init__(self, load: Callable[[], nn.Module], running: Running, *, small: bool = False) -> None:
        self._load = load
        self._device = running.device
        self._precision = running.precision
        self._compiled = running.compiled
        self._small = small
        self._model: nn.Module | None = None

    def _ready(self) -> nn.Module:
        import torch

        if self._model is None:
            if self._device == "auto":
                self._device = "cuda" if torch.cuda.is_available() else "cpu"
            self._model = self._load().eval().requires_grad_(False).to(self._device)
            if self._compiled:
                self._model.compile()  # in place, so that what encoders reach into stays where it is
        return self._model

    @contextmanager
    def running(self) -> Iterator[Any]:
        """The model inside inference mode; autocast where the precision is not float32."""
        import torch

        model = self._ready()
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self._small:
                stack.enter_context(one_thread())
            if self._precision == "float32":
                stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
            else:
                dtype = getattr(torch, self._precision)
                stack.enter_context(torch.autocast(self._device.split(":")[0], dtype=dtype))
            yield model

    def tensor(self, array: NDArray[Any]) -> torch.Tensor:
        """`array` on the model's device; inside `running` only."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


@contextmanager
def one_thread() -> Iterator[None]:
    """torch with a single thread inside the block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def to_numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    """A float32 copy on the host."""
    return np.array(tensor.float().cpu().numpy(), dtype=np.float32)


def pretrained(
    model_class: Any, folder: str, *, optional: frozenset[str] = frozenset(), attention: str = "sdpa"
) -> nn.Module:
    """`model_class.from_pretrained` of a local folder of safetensors, float32.

    Raises CheckpointError where tensors the model needs are not in the files or have another shape;
    `optional` names those that decide nothing at inference.
    """
    try:
        with _quiet():
            model, info = model_class.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                dtype="float32",
                attn_implementation=attention,
                output_loading_info=True,
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{folder} does not load as {model_class.__name__}: {error}") from error
    absent = sorted(set(info["missing_keys"]) - optional)
    if absent:
        raise CheckpointError(_absent(folder, model_class.__name__, absent))
    loaded: nn.Module = model
    return loaded


def timm_model(
    folder: str | os.PathLike[str],
    config: Mapping[str, Json],
    translate: Callable[[dict[str, torch.Tensor], nn.Module], dict[str, torch.Tensor]],
    **build: Any,
) -> nn.Module:
    """The timm model that `config` (timm's config.json) names, without a head, with the folder's weights.

    `translate` is timm's own renaming of tensors for that family. Raises CheckpointError where tensors the
    model needs are missing or have another shape.
    """
    import timm
    from safetensors.torch import load_file

    arguments = cast("dict[str, Any]", config.get("model_args") or {})
    name = str(config["architecture"])
    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, **build, **arguments)
    tensors = load_file(Path(folder) / "model.safetensors")
    try:
        problems = model.load_state_dict(
            translate({key: value.float() for key, value in tensors.items()}, model), strict=False
        )
    except RuntimeError as error:
        raise CheckpointError(f"{folder} does not load as {name}: {error}") from error
    if problems.missing_keys:
        raise CheckpointError(_absent(os.fspath(folder), name, problems.missing_keys))
    return model


def _absent(folder: str, name: str, missing: Sequence[str]) -> str:
    return (
        f"{folder} lacks {len(missing)} tensors of {name}, such as {missing[0]}. "
        "These are weights of another model."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers without its progress bar and its table of unused tensors: only `cli` draws."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
