"""The folder of a projector run: the projectors, how they were trained, their scores, and a card for people.

Trains and scores nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from emo.canonical import Json
from emo.heads.projectors import kind_of
from emo.llm.training.record import versions
from emo.model_card import CARD, ModelCard
from emo.pipeline.projector import ProjectorRun
from emo.rights import DataRights
from emo.run_clips import write_run_clips

if TYPE_CHECKING:
    from torch import nn


def write_projector_run(
    run: ProjectorRun, folder: Path, options: Mapping[str, Json], data: Sequence[DataRights] = ()
) -> None:
    """Write the projectors, `run.json`, `clips.json`, `scores.json`, `metrics.jsonl` and `README.md`.

    `options` are what the command was given, `data` the rights of the clips.
    """
    run.trained.save(folder)
    parts = {"train": run.splits.train, "val": run.splits.val, "test": run.splits.test}
    write_run_clips(folder, {name: [clip.clip_id for clip in part] for name, part in parts.items()})
    record = {"format": 1, **run.to_json(), "options": dict(options), "versions": versions()}
    _write(folder / "run.json", _json(record))
    _write(folder / "scores.json", _json(run.to_json() | {"predicted": dict(run.predicted)}))
    lines = [json.dumps(asdict(metrics)) for metrics in run.trained.history]
    _write(folder / "metrics.jsonl", "\n".join(lines) + "\n")
    _write(folder / CARD, card_text(run, data))


def card_text(run: ProjectorRun, data: Sequence[DataRights] = ()) -> str:
    """The card as Markdown; `data` are the rights of the clips, undeclared where empty."""
    trained, scores, splits = run.trained, run.result.scores, run.splits
    return ModelCard(
        title="Projectors aligned with the words of a LLaMA",
        about=f"Word embeddings: {Path(trained.receiver.reference).name}, digest "
        f"`{trained.receiver.digest[:16]}`, {trained.receiver.hidden} numbers a word. "
        f"Labels: {', '.join(trained.labels)}. Other labels are scored by their words.",
        scores=f"On {scores.n} {run.scored_split} clips: weighted F1 {run.result.interval} (95 % bootstrap "
        f"over speakers), UAR {scores.uar:.3f}, {scores.invalid_rate:.1%} of the answers cannot be read; the "
        f"majority class {run.majority.weighted_f1:.3f}.\n\n"
        f"Trained on {len(splits.train)} clips, {run.captions} of them with a caption; epoch "
        f"{trained.best_epoch} of {len(trained.history)} was best on {len(splits.val)} validation clips. "
        f"Seed {trained.config.seed}.",
        weights={f"weights of {name}": source.spec.licence for name, source in trained.sources.items()},
        data=data,
        tags=["projector"],
        sections={"Parts": _parts(run), "Reads": _reads(run)},
    ).markdown()


def _parts(run: ProjectorRun) -> str:
    trained = run.trained
    lines = ["| slot | projector | parameters |", "|---|---|---:|"]
    lines += [
        f"| {slot} | {kind_of(slot, trained.config.kinds)} | {_size(projector)} |"
        for slot, projector in trained.model.projectors.items()
    ]
    if trained.model.fusion is not None:
        fused = ", ".join(trained.model.fusion.encoders)
        lines.append(f"| fusion | v2 pre-fusion of {fused} | {_size(trained.model.fusion)} |")
    return "\n".join(lines)


def _size(part: nn.Module) -> str:
    return f"{sum(tensor.numel() for tensor in part.parameters()):,}"


def _reads(run: ProjectorRun) -> str:
    lines = ["| feature | array | fingerprint |", "|---|---|---|"]
    lines += [
        f"| {name} | {source.array} | `{source.spec.fingerprint[:16]}` |"
        for name, source in run.trained.sources.items()
    ]
    return "\n".join(lines)


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
