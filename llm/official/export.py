"""A checkpoint of ours to the .pth that the official code loads: plain tensors, pickled. Reads no pickle.

Source of the container: Emotion-LLaMA at commit 4ee28d2, runners/runner_base.py, `_save_checkpoint`.
"""

from __future__ import annotations

from pathlib import Path

import torch

from emo.config.llm import SLOTS
from emo.errors import CheckpointError
from emo.llm.card import Card, read_card
from emo.llm.checkpoint import ADAPTER, PROJECTORS
from emo.llm.official.keys import put_together
from emo.llm.weight_files import read_tensors, verify_files

STANDARDISER, LINEAR = "standardiser.", ".linear."


def export(folder: Path, file: Path) -> Card:
    """Write `file` from the checkpoint in `folder`; its card, whose rank and alpha the official YAML needs.

    Optimiser, config and scaler of the container are empty: the official code loads such a file as `ckpt`
    and cannot resume from it. CheckpointError where the official model has no place for a part, or lacks one.
    """
    card = read_card(folder)
    verify_files(folder, card.files)
    if card.merged:
        raise CheckpointError(f"{folder} is merged: it has no adapter to write. Export the unmerged one.")
    if set(card.config.lora.targets) != {"q_proj", "v_proj"}:
        raise CheckpointError(
            f"{folder} adapts {', '.join(card.config.lora.targets)}; the official model q_proj and v_proj."
        )
    if card.config.arrays:
        raise CheckpointError(
            f"{folder} reads {', '.join(f'{name} {array}' for name, array in card.config.arrays.items())}; "
            "the official model one vector of a clip. Train without `arrays`."
        )
    tensors = read_tensors(folder / PROJECTORS)
    if any(name.startswith(STANDARDISER) for name in tensors):
        raise CheckpointError(
            f"{folder} z-scores its features; the official model takes them as they are. Train with "
            "standardise: false."
        )
    projectors = {
        name.removeprefix("projectors.").replace(LINEAR, "."): value for name, value in tensors.items()
    }
    if lacking := [slot for slot in SLOTS if f"{slot}.weight" not in projectors]:
        raise CheckpointError(
            f"{folder} has no projector for {', '.join(lacking)}; the official model would start "
            "it at random. Train on all of its features."
        )
    state = put_together(read_tensors(folder / ADAPTER), projectors)
    part = file.with_name(f"{file.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": state, "optimizer": {}, "config": {}, "scaler": None, "epoch": 0}, part)
    part.rename(file)
    return card
