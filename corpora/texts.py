"""What is said in clips, written into their manifest: every other cell and key stays as it was.

Knows no models: who heard the words is not its business.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.manifest import MANIFEST_NAMES, PATHS, manifest_rows, write_manifest
from emo.corpora.manifest_text import csv_text, json_lines
from emo.text_files import replace_text

Row = Mapping[str, Json]


def manifest_of(place: Path) -> Path | None:
    """The manifest at `place`, a folder or the manifest itself; None where clips are found without one."""
    if place.is_dir():
        return next((place / name for name in MANIFEST_NAMES if (place / name).is_file()), None)
    return place if place.suffix.lower() in (".jsonl", ".csv") else None


def write_texts(source: Path | None, out: Path, clips: Sequence[Clip]) -> None:
    """Write `clips` to `out`: the rows of the manifest `source` with the clips' texts, in its order.

    JSON lines, or CSV where `out` is called so, in UTF-8; `out` is replaced at once or not at all. Relative
    paths are made to start at the folder of `out`.
    """
    if source is None:
        write_manifest(out, clips)
        return
    moved = out.parent.resolve() != source.parent.resolve()
    rows = [
        _with(row, clip, out.parent if moved else None)
        for row, clip in zip(manifest_rows(source), clips, strict=True)
    ]
    replace_text(out, csv_text(rows) if out.suffix.lower() == ".csv" else json_lines(rows))


def _with(row: Row, clip: Clip, folder: Path | None) -> dict[str, Json]:
    changed = dict(row)
    if clip.text or "text" in row:
        changed["text"] = clip.text
    for name in PATHS if folder else ():
        if (path := getattr(clip, name)) is not None:
            changed[name] = Path(os.path.relpath(path, folder)).as_posix()
    if folder and not row.get("clip_id"):
        changed["clip_id"] = clip.clip_id  # it was named by its path, which is another now
    return changed
