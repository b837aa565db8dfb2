"""Settings of `make tiny-encoders`: how many rendered people, and how long each encoder looks at them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """Steps of AdamW with warm-up and a cosine to zero; `batch` clips, faces or frames a step."""

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.05
    warm_up: int = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyEncodersConfig:
    """Everything that decides the shipped weights, besides the encoders' own `TINY_CONFIG`.

    `clips` are people seen, `voices` people heard. `processes` render side by side and decide nothing.
    """

    seed: int = 1
    clips: int = 4000
    voices: int = 6000
    processes: int = 2
    hubert: Course = Course(steps=2000, batch=16, learning_rate=2e-3)
    mae: Course = Course(steps=10000, batch=64, learning_rate=2e-3)
    videomae: Course = Course(steps=5000, batch=16, learning_rate=2e-3)
    eva: Course = Course(steps=6000, batch=64, learning_rate=2e-3)
