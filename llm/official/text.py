"""How the official code treats answers, for runs that compare with its figures: an option, never a default.

Lower-casing and dropping marks hides what a model says, and reading an unknown word as "neutral" turns a
failure into a class. Source: Emotion-LLaMA at commit 4ee28d2, minigpt4/processors/blip_processors.py and
eval_emotion.py.
"""

from __future__ import annotations

import re

from emo.labels import MER2023

MARKS = re.compile(r'[.!"()*#:;~]')
GAPS = re.compile(r"\s{2,}")
MOST_WORDS = 200
FALLBACK = "neutral"


def official_answer(text: str) -> str:
    """A training target as the official code cleans it: lower case, no marks, at most 200 words."""
    spaced = MARKS.sub(" ", text.lower())
    words = GAPS.sub(" ", spaced).rstrip("\n").strip(" ").split(" ")
    return " ".join(words[:MOST_WORDS])


def official_label(text: str) -> str:
    """The class the official evaluation reads from an answer: what follows the last space, or "neutral"."""
    last = text.split(" ")[-1]
    return last if last in MER2023 else FALLBACK
