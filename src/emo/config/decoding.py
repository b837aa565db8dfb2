"""Settings of generation: greedy unless a temperature is given."""

from __future__ import annotations

from dataclasses import dataclass

from emo.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """How tokens are chosen. Temperature 0 takes the most probable one; above it, tokens are drawn from the
    least set whose probability reaches `top_p`, by numbers that depend on `seed` and the clip alone.

    `repetition_penalty` above 1 makes tokens of the answer so far less likely (Keskar et al. 2019,
    arXiv:1909.05858). ConfigError where a figure is out of range.
    """

    max_new_tokens: int = 120
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        mistakes = []
        if self.max_new_tokens < 1:
            mistakes.append(f"max_new_tokens is {self.max_new_tokens}, but an answer has a token at least.")
        if self.temperature < 0:
            mistakes.append(f"temperature is {self.temperature}. Give 0 for greedy answers, or more.")
        if not 0 < self.top_p <= 1:
            mistakes.append(f"top_p is {self.top_p}. Give a share above 0 and up to 1.")
        if self.repetition_penalty <= 0:
            mistakes.append(f"repetition_penalty is {self.repetition_penalty}. Give 1 for none, or more.")
        if mistakes:
            raise ConfigError(*mistakes)
