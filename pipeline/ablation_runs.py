"""Cells of an ablation, each trained once: a finished one is kept by what decides it and never trained again.

    OUT/cells/seed<n>-<key>/    the head, or the LLaMA stage's run; cell.json once it has answered

Knows studies and folders; compares nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.cache import fsops
from emo.canonical import sha256_json
from emo.heads.provenance import code_commit
from emo.pipeline.ablation_cells import Cell
from emo.pipeline.ablation_study import Study

CELLS, FILE = "cells", "cell.json"
KEY_DIGITS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class CellResult:
    """What a cell with a seed answered for the test clips, in their order; None names no label."""

    cell: Cell
    seed: int
    answers: tuple[str | None, ...]
    seconds: float
    kept: bool


def cell_folder(study: Study, cell: Cell, seed: int, out: Path) -> Path:
    """Where a cell with this seed lies under `out`: other settings give another folder, a name does not."""
    return out / CELLS / f"seed{seed}-{sha256_json(study.identity(cell, seed))[:KEY_DIGITS]}"


def kept_result(study: Study, cell: Cell, seed: int, out: Path) -> CellResult | None:
    """The result that an earlier run left under `out`; None where there is none that can be read."""
    try:
        data = json.loads((cell_folder(study, cell, seed, out) / FILE).read_text(encoding="utf-8"))
        said = {str(key): value for key, value in data["answers"].items()}
        answers = tuple(said[clip.clip_id] for clip in study.test)
        seconds = float(data["seconds"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if any(answer is not None and answer not in study.labels for answer in answers):
        return None
    return CellResult(cell=cell, seed=seed, answers=answers, seconds=seconds, kept=True)


def run_cells(
    study: Study,
    cells: Sequence[Cell],
    seeds: Sequence[int],
    out: Path,
    *,
    on_step: Callable[[Cell, int, float, float, str], None] | None = None,
) -> Iterator[CellResult]:
    """The result of every cell with every seed, kept or trained now, as soon as it is there."""
    for cell in cells:
        for seed in seeds:
            found = kept_result(study, cell, seed, out)
            yield found or _trained(study, cell, seed, out, on_step or (lambda *_: None))


def _trained(
    study: Study,
    cell: Cell,
    seed: int,
    out: Path,
    on_step: Callable[[Cell, int, float, float, str], None],
) -> CellResult:
    folder, started = cell_folder(study, cell, seed, out), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    answers = study.answers(cell, seed, folder, lambda *told: on_step(cell, seed, *told))
    seconds = time.monotonic() - started
    data = {
        "cell": cell.name,
        **cell.to_json(),
        "seed": seed,
        "identity": study.identity(cell, seed),
        "answers": {clip.clip_id: label for clip, label in zip(study.test, answers, strict=True)},
        "seconds": round(seconds, 3),
        "commit": code_commit(),
    }
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    fsops.replace_file(folder / FILE, text.encode(), folder / f"{FILE}.part", durable=True)
    return CellResult(cell=cell, seed=seed, answers=tuple(answers), seconds=seconds, kept=False)
