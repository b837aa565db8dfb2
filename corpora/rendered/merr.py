"""MERR-style annotations: coarse and fine JSON and the list files that Emotion-LLaMA reads.

Keys and list format follow the official release (Emotion-LLaMA, MERR/README.md and
minigpt4/datasets/datasets/first_face.py at commit 4ee28d2). Knows nothing of drawing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emo.canonical import Json
from emo.corpora.rendered.performance import Movement, Performance
from emo.corpora.rendered.texts import ClipTexts
from emo.corpora.rendered.units import PRESENT

COARSE, FINE = "MERR_coarse_grained", "MERR_fine_grained"
NO_VALENCE = "-10"  # the official lists' value where valence is not known


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """What MERR says of one clip; `frames` is its length and `peak_frame` counts from 0."""

    clip_id: str
    frames: int
    peak_frame: int
    performance: Performance
    texts: ClipTexts

    def coarse(self) -> dict[str, Json]:
        """The entry of the coarse file."""
        seen = sorted({movement.unit for movement in self.performance.movements if _visible(movement)})
        units: list[Json] = [_named(unit) for unit in seen]
        at_peak: list[Json] = [_named(unit) for unit in self.texts.units]
        phrases: list[Json] = list(self.texts.unit_phrases)
        return {
            "AU_list": units,
            "visual_prior_list": phrases,
            "audio_prior_list": self.texts.tone_phrase,
            "peak_index": str(self.peak_frame),
            "peak_AU_list": at_peak,
            "pseu_emotion": self.performance.label,
            "caption": self.texts.caption,
        }

    def fine(self) -> dict[str, Json]:
        """The entry of the fine file: the coarse one with the words and the reasons."""
        return self.coarse() | {"text": self.texts.subtitle, "smp_reason_caption": self.texts.reason}


def write_merr(folder: Path, annotations: Iterable[Annotation]) -> None:
    """Write both JSON files and both lists into `folder`."""
    everything = list(annotations)
    write_json(folder / f"{COARSE}.json", {each.clip_id: each.coarse() for each in everything})
    write_json(folder / f"{FINE}.json", {each.clip_id: each.fine() for each in everything})
    coarse = [f"{each.clip_id} {each.frames} {each.performance.label}\n" for each in everything]
    fine = [line.replace("\n", f" {NO_VALENCE}\n") for line in coarse]
    (folder / f"{COARSE}.txt").write_text("".join(coarse), encoding="utf-8")
    (folder / f"{FINE}.txt").write_text("".join(fine), encoding="utf-8")


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write `value` for people to read, keys in the given order."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _visible(movement: Movement) -> bool:
    return movement.intensity >= PRESENT


def _named(unit: int) -> str:
    return f"AU{unit:02d}"
