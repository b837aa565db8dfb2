"""MERR's own files: names, keys and the shape of the coarse and fine JSON and of the list files beside them.

Source: Emotion-LLaMA, MERR/README.md and minigpt4/datasets/datasets/first_face.py at commit 4ee28d2. A
number is a string there, and the tone is one string where the face is a list. Judges no text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias, cast

from emo.canonical import Json
from emo.errors import ConfigError
from emo.text_files import read_text

Entry: TypeAlias = dict[str, Json]

COARSE_STEM, FINE_STEM = "MERR_coarse_grained", "MERR_fine_grained"
COARSE, FINE = f"{COARSE_STEM}.json", f"{FINE_STEM}.json"
COARSE_LIST, FINE_LIST = f"{COARSE_STEM}.txt", f"{FINE_STEM}.txt"
NO_VALENCE = "-10"  # the official lists' value where valence is not known
LISTS_OF_TEXT = ("AU_list", "visual_prior_list", "peak_AU_list")
TEXTS = ("audio_prior_list", "peak_index", "pseu_emotion", "caption")
FINE_TEXTS = ("text", "smp_reason_caption")


def read_entries(path: Path, encoding: str = "utf-8") -> dict[str, Entry]:
    """The entries of a MERR file by clip id, none where there is no file.

    ConfigError where it is not JSON of that shape or not in `encoding`; what is inside an entry is not looked
    at.
    """
    if not path.exists():
        return {}
    try:
        data = json.loads(read_text(path, encoding))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON: {error}.") from error
    if not isinstance(data, dict) or not all(isinstance(entry, dict) for entry in data.values()):
        raise ConfigError(f"{path}: not an object of clip id -> entry, as MERR files are.")
    return cast(dict[str, Entry], data)


def json_text(value: Mapping[str, object]) -> str:
    """`value` for people to read, keys in the given order."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def list_text(rows: Iterable[tuple[str, int, str]], *, fine: bool) -> str:
    """A list file of (clip id, frames, label); the fine one has a fourth column for a valence, unknown here.

    ConfigError where an id has white space, as the columns are separated by it.
    """
    tail = f" {NO_VALENCE}" if fine else ""
    lines = []
    for clip_id, frames, label in rows:
        if len(clip_id.split()) != 1:
            raise ConfigError(f"clip id {clip_id!r} has white space, which MERR lists cannot hold.")
        lines.append(f"{clip_id} {frames} {label}{tail}\n")
    return "".join(lines)


def read_frames(path: Path) -> dict[str, int]:
    """Frame counts by clip id of a list file, none where there is no file; rows without one are left out."""
    if not path.exists():
        return {}
    found = {}
    for line in read_text(path).splitlines():
        cells = line.split()
        if len(cells) >= 3 and cells[1].isdecimal():
            found[cells[0]] = int(cells[1])
    return found


def faults(entry: Mapping[str, Json], *, fine: bool, labels: Iterable[str]) -> list[str]:
    """What is wrong with one entry: keys missing or unknown, values of another type, a strange label."""
    texts = (*TEXTS, *(FINE_TEXTS if fine else ()))
    known = (*LISTS_OF_TEXT, *texts)
    wrong = [f"{key} is missing" for key in known if key not in entry]
    wrong += [f"{key} is unknown" for key in entry if key not in known]
    for key in LISTS_OF_TEXT:
        value = entry.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            wrong.append(f"{key} is no list of texts")
    wrong += [f"{key} is no text" for key in texts if not isinstance(entry.get(key, ""), str)]
    if not str(entry.get("peak_index", "0")).isdecimal():
        wrong.append(f"peak_index {entry['peak_index']!r} is no number of a frame")
    if "pseu_emotion" in entry and entry["pseu_emotion"] not in tuple(labels):
        wrong.append(f"pseu_emotion {entry['pseu_emotion']!r} is none of the labels")
    return wrong
