"""Texts of a clip: what is said, a caption of what is seen and heard, and a reasoned explanation.

Written from the performance alone, by templates and a generator: the same clip always gets the same words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from emo import wording
from emo.corpora.rendered import phrases
from emo.corpora.rendered.performance import Performance, units_at
from emo.corpora.rendered.tone import Tone
from emo.corpora.rendered.units import PRESENT


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
    named = [
        wording.unit_phrase(unit, level, rng) for unit, level in list(levels.items())[: wording.UNITS_NAMED]
    ]
    face = wording.listed(named) or wording.pick(wording.STILL_FACES, rng)
    tone = tone_word(performance.tone, habit)
    parts = (
        wording.pick(wording.FACE_SENTENCES, rng).format(face=face),
        wording.pick(wording.TONE_SENTENCES, rng).format(tone=tone),
        wording.pick(wording.TEXT_SENTENCES, rng).format(text=subtitle),
    )
    evidence = wording.pick(_evidence(performance), rng).format(face=face, tone=tone)
    why = wording.pick(wording.REASONS[performance.label], rng)
    conclusion = wording.pick(wording.CONCLUSIONS, rng).format(label=performance.label)
    return ClipTexts(
        subtitle=subtitle,
        units=tuple(levels),
        unit_phrases=tuple(named),
        tone_phrase=f"speaks in a {tone} tone",
        caption=wording.grammatical(" ".join(parts)),
        reason=wording.grammatical(f"{evidence} {why} {conclusion}"),
    )


def write_subtitle(rng: np.random.Generator) -> str:
    """An everyday sentence that says nothing about how the person feels."""
    tables = (phrases.SUBJECTS, phrases.ACTIONS, phrases.PLACES, phrases.TIMES)
    subject, action, place, time = (wording.pick(table, rng) for table in tables)
    return f"{subject} {action}{place}{time}."


def tone_word(tone: Tone, habit: Tone) -> str:
    """One or two words for what stands out against the speaker's habit, most striking first."""
    usual = asdict(habit)
    return wording.tone_word(
        {name: (value - usual[name]) / wording.TONE_WORDS[name][0] for name, value in asdict(tone).items()}
    )


def _units_at_peak(performance: Performance) -> dict[int, float]:
    """Units that movements (not speech or blinks) make visible at the peak, strongest first."""
    silent = replace(performance, syllables=(), blinks=())
    levels = units_at(silent, performance.peak)
    seen = [(level, unit) for unit, level in levels.items() if level >= PRESENT]
    return {unit: level for level, unit in sorted(seen, key=lambda pair: (-pair[0], pair[1]))}


def _evidence(performance: Performance) -> tuple[str, ...]:
    part, _, how = performance.condition.partition("_")
    if not how:
        return wording.BOTH_AGREE
    return wording.VOICE_LEADS if part == "face" else wording.FACE_LEADS
