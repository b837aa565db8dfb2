"""Emotion wheels: an open-vocabulary word to its place on each of five wheels.

A word goes to its base forms, these to the wheel words that they are or are synonyms of, and the
alphabetically first of those that is on the wheel decides. Quirks of the published maps are kept, as scores
hang on them: "neutral" is on no wheel, and `ew-2025` takes "fear" for a form of "fearless". Knows words,
never clips.

Source: AffectGPT (Lian et al. 2025, arXiv:2501.16566) and MERTools, MER2025_Track23 and MER2026_Track2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.evaluation.wheel_files import (
    WHEELS,
    find_vocabulary,
    read_forms,
    read_synonyms,
    read_wheel,
)

LEVELS = (1, 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class EmotionWheels:
    """The maps of one version.

    `bases` is by form, `meanings` the wheel words by base, `places[wheel][level]` the sector by wheel word.
    """

    version: str
    bases: Mapping[str, tuple[str, ...]]
    meanings: Mapping[str, tuple[str, ...]]
    places: tuple[Mapping[int, Mapping[str, str]], ...]

    def sector(self, word: str, wheel: int, level: int = 1) -> str | None:
        """Where `word` is on wheel 0 to 4, or None where it is on no sector."""
        places = self.places[wheel][level]
        candidates = {meaning for base in self.bases.get(word, ()) for meaning in self.meanings.get(base, ())}
        return next((places[each] for each in sorted(candidates) if each in places), None)

    def sectors(self, words: Iterable[str], wheel: int, level: int = 1) -> frozenset[str]:
        """The sectors of those of `words` that have one; case does not matter."""
        found = (self.sector(word.strip().lower(), wheel, level) for word in words)
        return frozenset(place for place in found if place is not None)


def load_wheels(version: str, folder: Path | None = None) -> EmotionWheels:
    """The maps of `ew-2025` or `ew-2026`; errors as `find_vocabulary`."""
    held = find_vocabulary(version, folder)
    return EmotionWheels(
        version=version,
        bases=_inverted([(base, forms or (base,)) for base, forms in read_forms(held)]),
        meanings=_inverted([(word, (word, *synonyms)) for word, synonyms in read_synonyms(held)]),
        places=tuple(_places(read_wheel(held, number)) for number in range(1, WHEELS + 1)),
    )


def _inverted(rows: Sequence[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """What each of the listed words is listed under."""
    under: dict[str, dict[str, None]] = {}
    for name, words in rows:
        for word in words:
            under.setdefault(word, {})[name] = None
    return {word: tuple(names) for word, names in under.items()}


def _places(rows: Sequence[tuple[str, str, str]]) -> dict[int, dict[str, str]]:
    """Sector by wheel word. A word that stands in several places has the last, as in the published maps."""
    inner: dict[str, str] = {}
    middle: dict[str, str] = {}
    for first, second, third in rows:
        inner |= {first: first, second: first, third: first}
        middle |= {second: second, third: second}
    for first in {row[0] for row in rows}:
        middle[first] = min(second for one, second, _ in rows if one == first)
    return {1: inner, 2: middle}
