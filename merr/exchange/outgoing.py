"""A built set in the format of another tool, by the format's name. Knows no building."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.merr_files import COARSE, FINE, Entry, read_entries
from emo.errors import ConfigError
from emo.merr.exchange import affect_gpt, label_studio, share_gpt

FORMATS = ("sharegpt", "sharegpt-jsonl", "affectgpt-openset", "affectgpt-reason", "label-studio")


def export(
    folder: Path, file: Path, form: str, clips: Iterable[Clip], *, coarse: bool = False, prefix: str = ""
) -> int:
    """Write the set in `folder` to `file` and say how many entries it has.

    The fine set where it is there, else or with `coarse` the coarse one. `clips` say where videos are: by a
    path relative to `file`, or, where a `prefix` is given, by that and the file's name.
    For Label Studio the labelling interface is written beside it. ConfigError where there is no such set.
    """
    rough, smooth = read_entries(folder / COARSE), read_entries(folder / FINE)
    fine = bool(smooth) and not coarse
    entries = smooth if fine else rough
    if not entries:
        raise ConfigError(f"{folder}: no MERR entries. Run: emo merr build CLIPS --out {folder}")
    videos = {clip.clip_id: _video(clip, file, prefix) for clip in clips}
    text, count = _text(form, entries, rough or entries, smooth, videos, fine)
    file.parent.mkdir(parents=True, exist_ok=True)
    _write(file, text)
    if form == "label-studio":
        _write(file.with_suffix(".xml"), label_studio.CONFIG)
    return count


def _write(file: Path, text: str) -> None:
    partial = file.with_name(f"{file.name}.part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def _text(
    form: str,
    entries: Mapping[str, Entry],
    coarse: Mapping[str, Entry],
    fine: Mapping[str, Entry],
    videos: Mapping[str, str],
    is_fine: bool,
) -> tuple[str, int]:
    if form == "affectgpt-openset":
        return affect_gpt.openset_csv(entries), len(entries)
    if form == "affectgpt-reason":
        return affect_gpt.reason_csv(fine), len(fine)
    if form == "label-studio":
        return _pretty(label_studio.tasks(coarse, fine, videos)), len(coarse)
    rows = share_gpt.conversations(entries, videos, fine=is_fine)
    if form == "sharegpt-jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), len(rows)
    return _pretty(rows), len(rows)


def _pretty(rows: list[dict[str, Json]]) -> str:
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def _video(clip: Clip, file: Path, prefix: str) -> str:
    if prefix:
        return f"{prefix.rstrip('/')}/{clip.path.name}"
    return Path(os.path.relpath(clip.path.resolve(), file.resolve().parent)).as_posix()
