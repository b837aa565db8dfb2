"""Whether files of MERR are sound: shape, labels, lists beside them, contradictions in their own texts.

Reads what anybody built; changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.canonical import Json
from emo.corpora import merr_files
from emo.corpora.merr_files import faults, read_entries, read_frames
from emo.errors import ConfigError
from emo.labels import parse_label
from emo.merr.quality import balance, texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """Problems, one a line with the file and the clip, and figures of each set that is there."""

    problems: Sequence[str]
    sets: dict[str, Json]

    def to_json(self) -> dict[str, Json]:
        """What `emo merr check --json` prints."""
        return {"problems": list(self.problems), "sets": self.sets}


def check(folder: Path, labels: Sequence[str]) -> Checked:
    """Both files in `folder`. ConfigError where there is neither, or one is no JSON of that shape."""
    problems: list[str] = []
    sets: dict[str, Json] = {}
    for name, listed, fine in (
        (merr_files.COARSE, merr_files.COARSE_LIST, False),
        (merr_files.FINE, merr_files.FINE_LIST, True),
    ):
        entries = read_entries(folder / name)
        if not (folder / name).exists():
            continue
        for clip_id, entry in entries.items():
            problems += [f"{name}: {clip_id}: {fault}" for fault in faults(entry, fine=fine, labels=labels)]
            if fine:
                problems += [f"{name}: {clip_id}: {fault}" for fault in _contradiction(entry, labels)]
        in_list = set(read_frames(folder / listed))
        problems += [f"{listed}: lacks {clip_id}" for clip_id in entries if clip_id not in in_list]
        problems += [f"{listed}: {clip_id} is not in {name}" for clip_id in sorted(in_list - set(entries))]
        key = "smp_reason_caption" if fine else "caption"
        written = [str(entry.get(key, "")) for entry in entries.values()]
        twice = [text for text, count in Counter(written).items() if count > 1]
        found = [str(entry.get("pseu_emotion", "")) for entry in entries.values()]
        sets["fine" if fine else "coarse"] = {
            "entries": len(entries),
            "texts_that_repeat": len(twice),
            "texts": texts(written),
            "balance": balance(found) if found else {},
        }
    if not sets:
        raise ConfigError(f"{folder}: neither {merr_files.COARSE} nor {merr_files.FINE} is there.")
    return Checked(problems=problems, sets=sets)


def _contradiction(entry: merr_files.Entry, labels: Sequence[str]) -> list[str]:
    said = parse_label(str(entry.get("smp_reason_caption", "")), labels)
    meant = entry.get("pseu_emotion")
    return [f"labelled {meant}, its reason ends with {said}"] if said is not None and said != meant else []
