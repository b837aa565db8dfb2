"""MERR-style annotations of rendered clips, coarse and fine. Knows nothing of drawing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emo.canonical import Json
from emo.corpora import merr_files
from emo.corpora.merr_files import json_text, list_text
from emo.corpora.rendered.performance import Movement, Performance
from emo.corpora.rendered.texts import ClipTexts
from emo.corpora.rendered.units import PRESENT


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
    rows = [(each.clip_id, each.frames, each.performance.label) for each in everything]
    texts = {
        merr_files.COARSE: json_text({each.clip_id: each.coarse() for each in everything}),
        merr_files.FINE: json_text({each.clip_id: each.fine() for each in everything}),
        merr_files.COARSE_LIST: list_text(rows, fine=False),
        merr_files.FINE_LIST: list_text(rows, fine=True),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _visible(movement: Movement) -> bool:
    return movement.intensity >= PRESENT


def _named(unit: int) -> str:
    return f"AU{unit:02d}"
