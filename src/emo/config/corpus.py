"""Settings of the rendered sample corpus."""

from __future__ import annotations

from dataclasses import dataclass

from emo.labels import MER2023


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusConfig:
    """How many clips of whom, and how hard they are.

    `labels` may be any of emo.labels.MERR. The shares of clips in which one modality is weak or shows
    another class than the label are exact in every split; the rest of the clips agree. `short` is the
    share whose expression lasts less than half a second. `train`, `val` and `test` divide the speakers.
    """

    clips: int = 480
    seed: int = 0
    clips_per_speaker: int = 8
    labels: tuple[str, ...] = MER2023
    face_weak: float = 0.26
    voice_weak: float = 0.12
    face_differs: float = 0.08
    voice_differs: float = 0.08
    short: float = 0.06
    train: float = 0.4
    val: float = 0.1
    test: float = 0.5
    width: int = 320
    height: int = 240
