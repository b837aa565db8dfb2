"""Texts of a clip: what is said, a caption of what is seen and heard, and a reasoned explanation.

Written from the performance alone, by templates and a generator: the same clip always gets the same words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from emo.corpora.rendered import phrases
from emo.corpora.rendered.performance import Performance, units_at
from emo.corpora.rendered.tone import Tone
from emo.corpora.rendered.units import PRESENT

UNITS_NAMED = 3  # a caption names the strongest few
TONES_NAMED = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipTexts:
    """The texts of one clip. `units` are those present at the peak, strongest first, speech and blinks
    left out; `unit_phrases` describe the first few of them, `tone_phrase` the voice."""

    subtitle: str
    units: tuple[int, ...]
    unit_phrases: tuple[str, ...]
    tone_phrase: str
    caption: str
    reason: str


def write_texts(performance: Performance, habit: Tone, rng: np.random.Generator) -> ClipTexts:
    """All texts of a clip; `habit` is how its speaker sounds when calm."""
    subtitle = write_subtitle(rng)
    levels = _units_at_peak(performance)
    named = [phrase_unit(unit, level, rng) for unit, level in list(levels.items())[:UNITS_NAMED]]
    face = _listed(named) or _pick(phrases.STILL_FACES, rng)
    tone = tone_word(performance.tone, habit)
    parts = (
        _pick(phrases.FACE_SENTENCES, rng).format(face=face),
        _pick(phrases.TONE_SENTENCES, rng).format(tone=tone),
        _pick(phrases.TEXT_SENTENCES, rng).format(text=subtitle),
    )
    evidence = _pick(_evidence(performance), rng).format(face=face, tone=tone)
    why = _pick(phrases.REASONS[performance.label], rng)
    conclusion = _pick(phrases.CONCLUSIONS, rng).format(label=performance.label)
    return ClipTexts(
        subtitle=subtitle,
        units=tuple(levels),
        unit_phrases=tuple(named),
        tone_phrase=f"speaks in a {tone} tone",
        caption=_grammatical(" ".join(parts)),
        reason=_grammatical(f"{evidence} {why} {conclusion}"),
    )


def write_subtitle(rng: np.random.Generator) -> str:
    """An everyday sentence that says nothing about how the person feels."""
    tables = (phrases.SUBJECTS, phrases.ACTIONS, phrases.PLACES, phrases.TIMES)
    subject, action, place, time = (_pick(table, rng) for table in tables)
    return f"{subject} {action}{place}{time}."


def phrase_unit(unit: int, intensity: float, rng: np.random.Generator) -> str:
    """For example "slightly raised cheeks" for unit 6 at 0.3."""
    article, verbs, part = phrases.UNIT_PHRASES[unit]
    adverb = [word for least, word in phrases.STRENGTHS if intensity >= least][-1]
    return f"{article}{adverb}{_pick(verbs, rng)} {part}"


def tone_word(tone: Tone, habit: Tone) -> str:
    """One or two words for what stands out against the speaker's habit, most striking first."""
    usual, striking = asdict(habit), []
    for name, value in asdict(tone).items():
        least, less, more = phrases.TONE_WORDS[name]
        distance = (value - usual[name]) / least
        word = more if distance > 0 else less
        if abs(distance) >= 1 and word:
            striking.append((abs(distance), word))
    striking.sort(reverse=True)
    words = [word for _, word in striking[:TONES_NAMED]]
    return " and ".join(words) if words else phrases.PLAIN_TONE


def _units_at_peak(performance: Performance) -> dict[int, float]:
    """Units that movements (not speech or blinks) make visible at the peak, strongest first."""
    silent = replace(performance, syllables=(), blinks=())
    levels = units_at(silent, performance.peak)
    seen = [(level, unit) for unit, level in levels.items() if level >= PRESENT]
    return {unit: level for level, unit in sorted(seen, key=lambda pair: (-pair[0], pair[1]))}


def _evidence(performance: Performance) -> tuple[str, ...]:
    part, _, how = performance.condition.partition("_")
    if not how:
        return phrases.BOTH_AGREE
    return phrases.VOICE_LEADS if part == "face" else phrases.FACE_LEADS


def _listed(items: list[str]) -> str:
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


def _pick(table: tuple[str, ...], rng: np.random.Generator) -> str:
    return table[int(rng.integers(len(table)))]


def _grammatical(text: str) -> str:
    return text.replace(" a even ", " an even ")
