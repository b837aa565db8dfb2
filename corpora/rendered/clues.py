"""Clues of rendered clips by name: the phrases that say each, and which are true of a clip.

For scoring texts about clips; never an input to a system. Reads annotations, judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from emo import wording
from emo.canonical import Json

STILL = "still face"
TONES = (
    wording.PLAIN_TONE,
    *(word for _, less, more in wording.TONE_WORDS.values() for word in (less, more) if word),
)
LEXICON: Mapping[str, tuple[str, ...]] = {
    **wording.unit_lexicon(),
    STILL: wording.STILL_FACES,
    **{f"{word} voice": (word,) for word in TONES},
}


def clues_of(entry: Mapping[str, Json]) -> tuple[frozenset[str], frozenset[str]]:
    """The clues that a MERR entry of a rendered clip writes down, and those that are true besides.

    A caption names the strongest units of the peak; the weaker ones are true besides.
    """
    at_peak = [str(unit) for unit in cast(list[Json], entry["peak_AU_list"]) if str(unit) in LEXICON]
    written = len(cast(list[Json], entry["visual_prior_list"]))
    tone = str(entry["audio_prior_list"]).split()
    voice = {f"{word} voice" for word in TONES if word in tone}
    face = set(at_peak[:written]) or {STILL}
    return frozenset(face | voice), frozenset(at_peak[written:])
