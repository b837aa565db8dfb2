"""A timeline as files: JSON, a table, subtitles for a player, and a picture.

Each appears whole or not at all. Knows no videos and no models.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emo.corpora.manifest import write_manifest
from emo.pipeline.timeline import SCHEMA_VERSION, Answered, Divided, clock
from emo.safety.cells import inert
from emo.text_files import replace_text

JSON, TABLE, SUBTITLES, PICTURE, MANIFEST = (
    "timeline.json", "timeline.csv", "timeline.srt", "timeline.png", "segments.jsonl",
)  # fmt: skip
FILES = (JSON, TABLE, SUBTITLES, PICTURE, MANIFEST)
COLUMNS = (
    "number", "start", "end", "shot", "voice", "status", "label", "confidence", "text", "features", "missing",
)  # fmt: skip
DPI = 130


def timeline_json(whole: Divided, answered: Sequence[Answered] = (), model: str = "") -> dict[str, Any]:
    """The object of timeline.json; without `answered` the segments alone, as a dry run prints it."""
    rows: list[dict[str, Any]] = []
    for number, (segment, clip) in enumerate(zip(whole.segments, whole.clips, strict=True), start=1):
        row: dict[str, Any] = {
            "number": number,
            "clip_id": clip.clip_id,
            "start": segment.start,
            "end": segment.end,
            "shot": segment.shot,
            "voice": segment.voice,
        }
        if answered:
            row |= _said(answered[number - 1])
        rows.append(row)
    return {
        "schema_version": SCHEMA_VERSION,
        "video": os.fspath(whole.video.path),
        "seconds": round(whole.survey.seconds, 3),
        "model": model or None,
        "shots": list(whole.cuts),
        "voice": [[round(start, 3), round(end, 3)] for start, end in whole.voice],
        "notes": list(whole.survey.notes),
        "segments": rows,
    }


def write_timeline(folder: Path, whole: Divided, answered: Sequence[Answered], model: str) -> dict[str, Any]:
    """Write FILES into `folder`; what timeline.json holds."""
    from emo.pipeline.timeline_figure import timeline_figure

    told = timeline_json(whole, answered, model)
    replace_text(folder / JSON, json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    replace_text(folder / TABLE, table(told))
    replace_text(folder / SUBTITLES, subtitles(told))
    write_manifest(folder / MANIFEST, whole.clips)
    part = folder / f"{PICTURE}.partial"
    timeline_figure(whole, told).savefig(part, format="png", dpi=DPI)
    part.replace(folder / PICTURE)
    return told


def table(told: dict[str, Any]) -> str:
    """timeline.csv: a row a segment, a column a label with its probability."""
    labels = labels_of(told)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS, *(inert(f"p({label})") for label in labels)])
    for row in told["segments"]:
        shares = row["probabilities"] or {}
        cells = [_cell(row[name]) for name in COLUMNS]
        writer.writerow([*cells, *(shares.get(label, "") for label in labels)])
    return stream.getvalue()


def subtitles(told: dict[str, Any]) -> str:
    """timeline.srt: a cue a segment, the label and its probability."""
    cues = []
    for row in told["segments"]:
        times = f"{clock(row['start'], ',')} --> {clock(row['end'], ',')}"
        cues.append(f"{row['number']}\n{times}\n{said_of(row)}\n")
    return "\n".join(cues)


def said_of(row: dict[str, Any]) -> str:
    """A segment's label and its probability, or why there is none, on one line."""
    if row["label"] is not None:
        return f"{' '.join(row['label'].split())} {row['confidence']:.2f}"
    if row["abstained"]:
        return "abstained"
    return "no label" if row["features"] else row["status"]


def labels_of(told: dict[str, Any]) -> list[str]:
    """Every label that has a probability somewhere, in the model's order."""
    return list(dict.fromkeys(label for row in told["segments"] for label in row["probabilities"] or ()))


def _said(one: Answered) -> dict[str, Any]:
    answer = one.answer or {}
    return {
        "status": one.status,
        "label": answer.get("label"),
        "confidence": answer.get("confidence", 0.0),
        "abstained": answer.get("abstained", False),
        "probabilities": answer.get("probabilities"),
        "text": answer.get("text", ""),
        "features": answer.get("features", []),
        "missing": answer.get("missing", list(one.problems)),
        "problems": dict(one.problems),
    }


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return inert(value)
    return inert(" ".join(value)) if isinstance(value, list | tuple) else value
