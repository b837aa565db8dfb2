"""The folder of a projector run: the projectors, how they were trained, their scores, and a card for people.

Trains and scores nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from emo.canonical import Json
from emo.heads.projectors import kind_of
from emo.llm.training.record import versions
from emo.pipeline.projector import ProjectorRun
from emo.rights import strictest
from emo.run_clips import write_run_clips

NOTE = (
    "Scores say how somebody looks and sounds in a clip, not what that person feels. "
    "Do not use them to judge people."
)


def write_projector_run(run: ProjectorRun, folder: Path, options: Mapping[str, Json]) -> None:
    """Write the projectors, `run.json`, `clips.json`, `scores.json`, `metrics.jsonl` and `README.md`.

    `options` are what the command was given.
    """
    run.trained.save(folder)
    parts = {"train": run.splits.train, "val": run.splits.val, "test": run.splits.test}
    write_run_clips(folder, {name: [clip.clip_id for clip in part] for name, part in parts.items()})
    record = {"format": 1, **run.to_json(), "options": dict(options), "versions": versions()}
    _write(folder / "run.json", _json(record))
    _write(folder / "scores.json", _json(run.to_json() | {"predicted": dict(run.predicted)}))
    lines = [json.dumps(asdict(metrics)) for metrics in run.trained.history]
    _write(folder / "metrics.jsonl", "\n".join(lines) + "\n")
    _write(folder / "README.md", card_text(run))


def card_text(run: ProjectorRun) -> str:
    """The card as Markdown."""
    trained, scores = run.trained, run.result.scores
    kinds = trained.config.kinds
    licences = [source.spec.licence.name for source in trained.sources.values()]
    lines = [
        "# Projectors aligned with the words of a LLaMA",
        "",
        NOTE,
        "",
        f"Word embeddings: {Path(trained.receiver.reference).name}, digest "
        f"`{trained.receiver.digest[:16]}`, {trained.receiver.hidden} numbers a word.",
        f"Labels: {', '.join(trained.labels)}. Other labels are scored by their words.",
        f"Licence of the features: {strictest(licences)}. That of the clips is the data set's.",
        "",
        "| slot | projector | parameters |",
        "|---|---|---:|",
    ]
    lines += [
        f"| {slot} | {kind_of(slot, kinds)} | {sum(part.numel() for part in projector.parameters()):,} |"
        for slot, projector in trained.model.projectors.items()
    ]
    if trained.model.fusion is not None:
        size = sum(part.numel() for part in trained.model.fusion.parameters())
        lines.append(f"| fusion | v2 pre-fusion of {', '.join(trained.model.fusion.encoders)} | {size:,} |")
    lines += ["", "| feature | array | fingerprint |", "|---|---|---|"]
    lines += [
        f"| {name} | {source.array} | `{source.spec.fingerprint[:16]}` |"
        for name, source in trained.sources.items()
    ]
    splits = run.splits
    lines += [
        "",
        f"Trained on {len(splits.train)} clips, {run.captions} of them with a caption; epoch "
        f"{trained.best_epoch} of {len(trained.history)} was best on {len(splits.val)} validation clips. "
        f"Seed {trained.config.seed}.",
        "",
        f"On {scores.n} {run.scored_split} clips: weighted F1 {run.result.interval} (95 % bootstrap over "
        f"speakers), UAR {scores.uar:.3f}; the majority class {run.majority.weighted_f1:.3f}.",
    ]
    return "\n".join(lines) + "\n"


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
