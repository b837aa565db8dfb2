"""The cast list of a corpus: who plays what in which split, before anything is planned or drawn.

Labels, conditions and short expressions are dealt out, not tossed: every split has its exact share. Knows
nothing of faces or voices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from emo.config.corpus import CorpusConfig
from emo.corpora.rendered.performance import CONDITIONS, Condition
from emo.errors import ConfigError
from emo.labels import MERR
from emo.seeds import generator

SPLITS = ("train", "val", "test")
SMALLEST = 64  # pixels a side
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """One clip of the cast list. `number` seeds it; `speaker` numbers the identity."""

    number: int
    clip_id: str
    speaker: int
    split: str
    label: str
    condition: Condition
    short: bool

    @property
    def speaker_id(self) -> str:
        """The speaker's name in manifests."""
        return f"speaker_{self.speaker:05d}"


def cast_corpus(config: CorpusConfig) -> list[Role]:
    """Every clip of the corpus in the order of its ids; ConfigError lists all that is wrong."""
    _check(config)
    speakers = min(config.clips, max(len(SPLITS), -(-config.clips // config.clips_per_speaker)))
    rng = generator("corpus", config.seed, "cast")
    order = [int(speaker) for speaker in rng.permutation(speakers)]
    shares = {"train": config.train, "val": config.val, "test": config.test}
    split_of = dict(zip(order, _dealt(shares, speakers, at_least_one=True), strict=True))
    clips_of: dict[str, list[int]] = {split: [] for split in SPLITS}
    for number in range(config.clips):
        clips_of[split_of[number * speakers // config.clips]].append(number)
    roles = [role for split in SPLITS for role in _cast_split(config, split, clips_of[split], speakers, rng)]
    return sorted(roles, key=lambda role: role.number)


def _cast_split(
    config: CorpusConfig, split: str, numbers: Sequence[int], speakers: int, rng: np.random.Generator
) -> Iterator[Role]:
    conditions = _dealt(_condition_shares(config), len(numbers))
    shorts = _dealt({True: config.short, False: 1 - config.short}, len(numbers))
    rng.shuffle(conditions)
    rng.shuffle(shorts)
    rounds = -(-len(numbers) // len(config.labels))
    labels = [config.labels[at] for _ in range(rounds) for at in rng.permutation(len(config.labels))]
    for at, number in enumerate(numbers):
        yield Role(
            number=number,
            clip_id=f"sample_{number:08d}",
            speaker=number * speakers // config.clips,
            split=split,
            label=labels[at],
            condition=conditions[at],
            short=shorts[at],
        )


def _condition_shares(config: CorpusConfig) -> dict[Condition, float]:
    shares = (config.face_weak, config.voice_weak, config.face_differs, config.voice_differs)
    return dict(zip(CONDITIONS, (1 - sum(shares), *shares), strict=True))


def _dealt(shares: Mapping[T, float], count: int, *, at_least_one: bool = False) -> list[T]:
    """`count` values in runs, as close to `shares` as whole numbers allow (largest remainder).

    `at_least_one` gives every value with a share a place, as far as there are places.
    """
    exact = {value: share * count for value, share in shares.items()}
    counts = {value: int(amount + 1e-9) for value, amount in exact.items()}
    left = count - sum(counts.values())
    for value in sorted(exact, key=lambda value: counts[value] - exact[value])[:left]:
        counts[value] += 1
    if at_least_one:
        for value in [value for value, share in shares.items() if share > 0 and not counts[value]]:
            richest = max(counts, key=lambda value: counts[value])
            if counts[richest] > 1:
                counts[richest] -= 1
                counts[value] += 1
    return [value for value, amount in counts.items() for _ in range(amount)]


def _check(config: CorpusConfig) -> None:
    mistakes = []
    if config.clips < 1 or config.clips_per_speaker < 1:
        mistakes.append(
            f"clips = {config.clips} and clips_per_speaker = {config.clips_per_speaker}: both start at 1."
        )
    unknown = [label for label in config.labels if label not in MERR]
    if unknown or len(set(config.labels)) < 2 or len(set(config.labels)) != len(config.labels):
        mistakes.append(f"labels = {list(config.labels)}: give two or more different ones of {list(MERR)}.")
    splits = (config.train, config.val, config.test)
    if min(splits) < 0 or abs(sum(splits) - 1) > 1e-6:
        mistakes.append(f"train, val, test = {splits}: they must be shares that add up to 1.")
    shares = (*_condition_shares(config).values(), config.short)
    if min(shares) < 0 or max(shares) > 1:
        mistakes.append(
            "face_weak, voice_weak, face_differs, voice_differs and short are shares from 0 to 1, "
            "and the first four together are no more than 1."
        )
    if min(config.width, config.height) < SMALLEST or config.width % 2 or config.height % 2:
        mistakes.append(f"{config.width} x {config.height}: give even numbers of pixels from {SMALLEST} up.")
    if mistakes:
        raise ConfigError(*mistakes)
