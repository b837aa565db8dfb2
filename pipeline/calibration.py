"""Calibration of a trained folder: fitted on its validation clips, stored beside its weights, bound to them.

Test clips are never fitted on: which clips are taken is the system's answer, not a parameter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emo.digests import sha256_file
from emo.errors import CheckpointError
from emo.evaluation.temperature import Calibration
from emo.llm.card import CARD, read_card
from emo.text_files import replace_text

FORMAT = 1
FILE = "calibration.json"
WEIGHTS = "*.safetensors"


def read_calibration(folder: Path, labels: Sequence[str]) -> Calibration:
    """The calibration of the trained system in `folder`; one that changes nothing where there is none.

    CheckpointError where the file is not whole, or was fitted to other weights or labels.
    """
    path = folder / FILE
    if not path.exists():
        return Calibration()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = Calibration(float(data["temperature"]), tuple(map(float, data["bias"].values())))
        fitted = (data["format"], data["labels"], data["weights"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error!r}. Run: emo calibrate") from error
    if fitted != (FORMAT, list(labels), weight_digests(folder)):
        raise CheckpointError(
            f"{path}: was fitted to other weights or labels than {folder} now holds. "
            f"Fit it again: emo calibrate --model {folder}. Or remove the file."
        )
    return found


def write_calibration(
    folder: Path, calibration: Calibration, labels: Sequence[str], fitted: Mapping[str, object]
) -> None:
    """Store `calibration` beside the weights in `folder`; `fitted` says on what, and what it changed."""
    data: dict[str, Any] = {
        "format": FORMAT,
        "temperature": calibration.temperature,
        "labels": list(labels),
        "bias": dict(zip(labels, calibration.bias, strict=True)) if calibration.bias else {},
        "fitted": dict(fitted),
        "weights": weight_digests(folder),
    }
    replace_text(folder / FILE, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def carry_calibration(folder: Path, out: Path, labels: Sequence[str]) -> bool:
    """Store the calibration of `folder`, where it has one, beside weights in `out` that answer the same to
    the last bits, such as merged ones; whether there was one. CheckpointError as `read_calibration`."""
    if not (folder / FILE).exists():
        return False
    found = read_calibration(folder, labels)
    fitted = json.loads((folder / FILE).read_text(encoding="utf-8"))["fitted"]
    write_calibration(out, found, labels, {**fitted, "carried_from": str(folder)})
    return True


def weight_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the weight files in `folder` by name, and of the LLaMA under them as `base`."""
    digests = {file.name: sha256_file(file) for file in sorted(folder.glob(WEIGHTS))}
    return digests | ({"base": read_card(folder).base_digest} if (folder / CARD).exists() else {})
