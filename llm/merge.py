"""Merge: the adapter of a checkpoint into its LLaMA, as a directory that any tool for LLaMAs loads.

The folder written holds `llama/` (plain transformers: safetensors, config, tokenizer), the projectors and a
card, so that it is a checkpoint too. Knows no training and no file of others.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from emo.errors import CheckpointError, ConfigError
from emo.llm.base import directory_digest
from emo.llm.card import read_card
from emo.llm.checkpoint import load_checkpoint, save_checkpoint
from emo.run_clips import read_run_clips, write_run_clips
from emo.run_data import copy_run_data

LLAMA = "llama"


def merge_checkpoint(
    folder: Path, out: Path, *, base: str | None = None, dtype: str = "float32", device: str = "cpu"
) -> Path:
    """Write the checkpoint in `folder` to `out` without an adapter; the directory of the plain LLaMA.

    `base` says where the LLaMA is now, if it moved. The sum W + scale * B A is made and kept in `dtype`:
    float32 answers as before, half precision rounds the sum. ConfigError where `out` is `folder` or holds
    something; raises what `load_checkpoint` raises.
    """
    if out.exists() and (out.resolve() == folder.resolve() or any(out.iterdir())):
        raise ConfigError(f"{out} is not empty. Give a folder of its own to the merged checkpoint.")
    if read_card(folder).merged:
        raise CheckpointError(f"{folder} is merged already: its LLaMA is in {folder / LLAMA}.")
    model, card = load_checkpoint(folder, base=base, dtype=dtype, device=device)
    llama = cast(Any, model.llama).merge_and_unload()
    target = out / LLAMA
    llama.save_pretrained(target)
    model.codec.tokenizer.save_pretrained(target)
    merged = replace(card, merged=True, base=str(target), base_digest=directory_digest(target))
    if seen := read_run_clips(folder):
        write_run_clips(out, seen)
    copy_run_data(folder, out)
    save_checkpoint(model, merged, out)
    return target
