"""MER-Factory's output, read: one `<id>_merr_data.json` a clip, with or without a ground truth label.

It names units by their FACS names, not by number; they are put back. A frame count is nowhere in it, so lists
get 0. Its summary becomes the reason as it is: `emo merr check` says where that contradicts the label.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from emo.canonical import Json
from emo.corpora.merr_files import Entry
from emo.errors import ConfigError
from emo.text_files import read_text

SUFFIX = "_merr_data.json"
# FACS names as MER-Factory writes them (Ekman and Friesen 1978).
NAMES: Mapping[str, int] = {
    "inner brow raiser": 1,
    "outer brow raiser": 2,
    "brow lowerer": 4,
    "upper lid raiser": 5,
    "cheek raiser": 6,
    "lid tightener": 7,
    "nose wrinkler": 9,
    "upper lip raiser": 10,
    "lip corner puller (smile)": 12,
    "lip corner puller": 12,
    "dimpler": 14,
    "lip corner depressor": 15,
    "chin raiser": 17,
    "lip stretcher": 20,
    "lip tightener": 23,
    "lips part": 25,
    "jaw drop": 26,
    "lip suck": 28,
    "blink": 45,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """MERR entries of both files and films, by clip id, and what could not be read, a line a file."""

    coarse: Mapping[str, Entry]
    fine: Mapping[str, Entry]
    sources: Mapping[str, str]
    problems: Sequence[str]


def read_mer_factory(folder: Path, labels: Sequence[str], encoding: str = "utf-8") -> Imported:
    """Every clip below `folder`. Without a label, none of `labels` and no peak that names one, a clip is a
    problem. ConfigError where there is no file of MER-Factory."""
    paths = sorted(folder.rglob(f"*{SUFFIX}"))
    if not paths:
        raise ConfigError(f"{folder}: no *{SUFFIX} below it. Name the output folder of MER-Factory.")
    coarse: dict[str, Entry] = {}
    fine: dict[str, Entry] = {}
    sources: dict[str, str] = {}
    problems = []
    for path in paths:
        clip_id = path.name.removesuffix(SUFFIX)
        try:
            data = json.loads(read_text(path, encoding))
            entry = _entry(data, labels)
        except ConfigError as error:
            problems.append(str(error))
            continue
        except (RecursionError, ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"{path.name}: {error!r}")
            continue
        coarse[clip_id] = entry
        sources[clip_id] = str(data.get("source_path") or "")
        summary = str(data.get("final_summary") or "")
        if summary:
            fine[clip_id] = {**entry, "text": "", "smp_reason_caption": summary}
    return Imported(coarse=coarse, fine=fine, sources=sources, problems=problems)


def _entry(data: Mapping[str, Json], labels: Sequence[str]) -> Entry:
    peak = cast(Mapping[str, Json], data["overall_peak_frame_info"])
    told = cast(Mapping[str, Json], data["coarse_descriptions_at_peak"])
    units = _units(peak.get("top_aus_intensities"))
    seen = str(told.get("visual_expression") or "")
    heard = str(told.get("audio_analysis") or "")
    texts = [str(told.get(key) or "") for key in ("visual_objective", "video_content")]
    names: list[Json] = [f"AU{unit:02d}" for unit in units]
    phrases: list[Json] = [phrase.strip() for phrase in seen.split(",") if phrase.strip()]
    return {
        "AU_list": names,
        "visual_prior_list": phrases,
        "audio_prior_list": heard,
        "peak_index": str(int(cast(int, peak["frame_number"]))),
        "peak_AU_list": list(names),
        "pseu_emotion": _label(data, labels),
        "caption": " ".join(text for text in (*texts, seen, heard) if text),
    }


def _label(data: Mapping[str, Json], labels: Sequence[str]) -> str:
    """The ground truth, else the strongest emotion of the chronological peaks, which are texts."""
    given = str(data.get("ground_truth_label") or "").strip().lower()
    if given in labels:
        return given
    peaks = cast(Sequence[str], data.get("chronological_emotion_peaks") or [])
    strengths = {"slight": 1, "moderate": 2, "strong": 3}
    found = re.findall(r"(\w+) \((slight|moderate|strong)\)", " ".join(map(str, peaks)))
    known = [(strengths[strength], label) for label, strength in found if label in labels]
    if known:
        return str(max(known, key=lambda pair: pair[0])[1])
    if any(str(peak).strip().lower() == "neutral" for peak in peaks) and "neutral" in labels:
        return "neutral"
    raise ValueError("names none of the labels")


def _units(intensities: Json) -> list[int]:
    """Units of a mapping of name or code to intensity."""
    found = []
    for name in intensities if isinstance(intensities, dict) else ():
        code = re.search(r"AU(\d+)", name)
        number = int(code[1]) if code else NAMES.get(name.strip().lower())
        if number is not None:
            found.append(number)
    return sorted(set(found))
