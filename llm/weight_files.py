"""Files of a checkpoint: tensors as safetensors, and the SHA-256 of each file so that damage is noticed.

Knows no model and no card.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from emo.digests import sha256_file
from emo.errors import CheckpointError


def write_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write `tensors` to `file`, with the access rights that any new file of this user gets."""
    file.unlink(missing_ok=True)
    file.touch()
    rights = file.stat().st_mode
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, file)
    file.chmod(rights)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors in `file` by name; CheckpointError where it cannot be read."""
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: cannot be read: {error}. Train or convert again.") from error


def verify_files(folder: Path, files: Mapping[str, str]) -> None:
    """CheckpointError names every file of `files` (SHA-256 by name) that is gone or holds other bytes."""
    faults = []
    for name, expected in files.items():
        try:
            found = sha256_file(folder / name)
        except OSError as error:
            faults.append(f"{folder / name}: cannot be read: {error}")
            continue
        if found != expected:
            faults.append(f"{folder / name}: SHA-256 {found[:16]}, written as {expected[:16]}")
    if faults:
        raise CheckpointError(f"{'; '.join(faults)}. Copy the checkpoint again, or train or convert again.")


def refuse_misfit(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], file: Path) -> None:
    """CheckpointError that names every tensor of `file` missing, superfluous or of another shape."""
    faults = [f"{name} is missing" for name in expected if name not in given]
    faults += [f"{name} belongs nowhere" for name in given if name not in expected]
    faults += [
        f"{name} is {tuple(given[name].shape)}, not {tuple(value.shape)}"
        for name, value in expected.items()
        if name in given and given[name].shape != value.shape
    ]
    if faults:
        raise CheckpointError(f"{file}: {'; '.join(faults)}. Give the whole checkpoint of this very model.")
