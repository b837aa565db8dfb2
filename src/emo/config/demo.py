"""Settings of `emo demo`, with their defaults. Knows no room's code."""

from __future__ import annotations

from dataclasses import dataclass, field

from emo.config.llm import TinyBaseConfig
from emo.config.workspace import ENCODER_NAMES


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoConfig:
    """One run of the whole road on rendered clips.

    `shares` are train, validation and test speakers. `heads` are tried and one is chosen on validation
    speakers. `shuffles` is how many permutations the shuffled control is a mean over; `examples` is how
    many test clips the report shows.
    """

    clips: int = 480
    seed: int = 0
    shares: tuple[float, float, float] = (0.4, 0.1, 0.5)
    encoders: tuple[str, ...] = ENCODER_NAMES
    preset: str = "tiny"
    heads: tuple[str, ...] = ("concat", "attention")
    recipe: str = "tiny"
    base: TinyBaseConfig = field(default_factory=TinyBaseConfig)
    shuffles: int = 5
    examples: int = 9
    resamples: int = 2000


QUICK = DemoConfig(clips=96, base=TinyBaseConfig(steps=60), shuffles=2, examples=4)
