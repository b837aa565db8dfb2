"""How a frozen model is run: loaded when first used, evaluation mode, no gradients, full fp32 products.

Knows devices and precisions; knows no encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from emo.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    import torch
    from torch import nn

Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS = ("float32", "bfloat16", "float16")


class FrozenModel:
    """A model that `load` makes when it is first needed, on `device` (`auto`: CUDA where there is one)."""

    def __init__(
        self, load: Callable[[], nn.Module], *, device: str = "auto", precision: str = "float32"
    ) -> None:
        if precision not in PRECISIONS:
            raise ConfigError(f"Unknown precision {precision!r}. Known: {', '.join(PRECISIONS)}.")
        self._load = load
        self._device = device
        self._precision = precision
        self._model: nn.Module | None = None

    def _ready(self) -> nn.Module:
        import torch

        if self._model is None:
            if self._device == "auto":
                self._device = "cuda" if torch.cuda.is_available() else "cpu"
            self._model = self._load().eval().requires_grad_(False).to(self._device)
        return self._model

    @contextmanager
    def running(self) -> Iterator[Any]:
        """The model inside inference mode; autocast where the precision is not float32."""
        import torch

        model = self._ready()
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
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


def to_numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    """A float32 copy on the host."""
    return np.array(tensor.float().cpu().numpy(), dtype=np.float32)


def pretrained(model_class: Any, folder: str, *, optional: frozenset[str] = frozenset()) -> nn.Module:
    """`model_class.from_pretrained` of a local folder of safetensors, float32, SDPA.

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
                attn_implementation="sdpa",
                output_loading_info=True,
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{folder} does not load as {model_class.__name__}: {error}") from error
    absent = sorted(set(info["missing_keys"]) - optional)
    if absent:
        raise CheckpointError(
            f"{folder} lacks {len(absent)} tensors of {model_class.__name__}, such as {absent[0]}. "
            "These are weights of another model."
        )
    loaded: nn.Module = model
    return loaded


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
