"""Pickle-based checkpoints of published weights to safetensors folders that emo can read.

The functions here run inside `emo.safety.limited`, on `torch.load(weights_only=True)` alone: no pickle is
ever executed. Knows file layouts and tensor names, no command line.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo.canonical import Json
from emo.digests import sha256_file
from emo.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

WRAPPERS = ("model", "state_dict", "module")  # keys under which trainers put the tensors


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth or .bin file, out of whatever wrapper they are in.

    Raises CheckpointError where the file is no such checkpoint or would run code.
    """
    import torch

    try:
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a hostile file breaks the reader in ways that nobody lists
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path.name} is no checkpoint of plain tensors: {first}") from error
    for wrapper in WRAPPERS:
        if isinstance(held, Mapping) and isinstance(held.get(wrapper), Mapping):
            held = held[wrapper]
    if not isinstance(held, Mapping):
        raise CheckpointError(f"{path.name} holds a {type(held).__name__}, not tensors by name.")
    tensors = {str(key): value for key, value in held.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise CheckpointError(f"{path.name} holds no tensors.")
    return tensors


def write_folder(out: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Json]:
    """Write `model.safetensors` and `config.json`; returns their SHA-256 by name.

    Tensors keep the precision they came in: a checkpoint in halves is not blown up to twice its size.
    """
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    model, settings = out / "model.safetensors", out / "config.json"
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, model, metadata={"format": "pt"})
    model.chmod(0o644)
    settings.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return {path.name: sha256_file(path) for path in (model, settings)}


def bin_to_safetensors(source: str, out: str) -> Json:
    """A hub's `pytorch_model.bin` as `out/model.safetensors`, names unchanged; returns the SHA-256.

    Tensors that share memory are written once each, in full.
    """
    from safetensors.torch import save_file

    target = Path(out) / "model.safetensors"
    tensors = {key: tensor.clone().contiguous() for key, tensor in load_tensors(Path(source)).items()}
    save_file(tensors, target, metadata={"format": "pt"})
    target.chmod(0o644)
    return sha256_file(target)


def take(tensors: Mapping[str, Tensor], name: str, path: str) -> Tensor:
    """One tensor by name; CheckpointError where it is not there."""
    if name not in tensors:
        raise CheckpointError(f"{Path(path).name} has no tensor {name}: these are weights of another model.")
    return tensors[name]


def count_blocks(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered blocks there are under `prefix`."""
    numbers = {int(key[len(prefix) :].split(".")[0]) for key in tensors if key.startswith(prefix)}
    return len(numbers)
