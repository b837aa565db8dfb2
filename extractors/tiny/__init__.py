"""Weights of the `tiny` preset: small encoders trained on rendered people, a check of the pipeline and
no claim about real emotion. `card.md` says how they were made, `weights.json` what their digests are.

Knows files and digests; what the models are is in the encoder files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from emo.canonical import Json
from emo.digests import sha256_file
from emo.errors import CheckpointError

if TYPE_CHECKING:
    from torch import nn

FOLDER = Path(__file__).parent
INDEX = "weights.json"


def read_index(folder: Path = FOLDER) -> dict[str, dict[str, Json]]:
    """`weights.json`: for each encoder `sha256`, `config`, `trained` and `trained_by`."""
    path = folder / INDEX
    if not path.exists():
        return {}
    return cast("dict[str, dict[str, Json]]", json.loads(path.read_text(encoding="utf-8")))


def entry(name: str, folder: Path = FOLDER) -> dict[str, Json]:
    """The index entry of one encoder; CheckpointError where there is none."""
    index = read_index(folder)
    if name not in index:
        raise CheckpointError(f"No tiny weights of {name!r} in {folder / INDEX}: there are {sorted(index)}.")
    return index[name]


def load(name: str, model: nn.Module, folder: Path = FOLDER) -> nn.Module:
    """Fill `model` with the shipped weights of `name`.

    Raises CheckpointError where the file is not the one its digest names, or does not fit the model.
    """
    from safetensors.torch import load_file

    path = folder / f"{name}.safetensors"
    digest = sha256_file(path)
    if digest != entry(name, folder)["sha256"]:
        raise CheckpointError(
            f"{path} has SHA-256 {digest[:16]}..., not the one in {INDEX}. Install emo-toolkit again."
        )
    weights = {key: tensor.float() for key, tensor in load_file(path).items()}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the tiny {name}: {error}") from error
    return model.eval()


def save(
    name: str, model: nn.Module, config: Json, *, trained: bool, trained_by: str, folder: Path = FOLDER
) -> str:
    """Write `model` as half-precision safetensors, enter it in the index, return its SHA-256."""
    from safetensors.torch import save_file

    path = folder / f"{name}.safetensors"
    save_file({key: tensor.detach().half().contiguous() for key, tensor in model.state_dict().items()}, path)
    path.chmod(0o644)  # safetensors writes for the owner alone
    digest = sha256_file(path)
    index = read_index(folder)
    index[name] = {"sha256": digest, "config": config, "trained": trained, "trained_by": trained_by}
    (folder / INDEX).write_text(json.dumps(index, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return digest
