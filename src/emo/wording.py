"""How a face, a voice and a reason are put into plain English: word tables and the few rules of their use.

The vocabulary is small on purpose, so that a tokenizer of a few hundred entries covers it. No phrase for
a face, a voice or a subtitle contains the name of a class: only the last sentence of a reason does. Choices
come from a generator that is passed in. Knows no clips, files or measurements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# Article, what a unit does, and to what; an adverb of strength may stand before the verb.
UNIT_PHRASES: Mapping[int, tuple[str, tuple[str, ...], str]] = {
    1: ("", ("raised", "lifted"), "inner brows"),
    2: ("", ("raised", "lifted"), "outer brows"),
    4: ("", ("lowered", "knitted"), "brows"),
    5: ("", ("widened", "opened"), "eyes"),
    6: ("", ("raised", "lifted"), "cheeks"),
    7: ("", ("tightened", "narrowed"), "eyelids"),
    9: ("a ", ("wrinkled", "creased"), "nose"),
    10: ("a ", ("raised", "curled"), "upper lip"),
    12: ("", ("raised", "lifted"), "lip corners"),
    14: ("", ("tightened", "dimpled"), "lip corners"),
    15: ("", ("lowered", "drooping"), "lip corners"),
    17: ("a ", ("raised", "pushed up"), "chin"),
    20: ("", ("stretched", "drawn out"), "lips"),
    23: ("", ("tightened", "pressed"), "lips"),
    25: ("", ("parted", "opened"), "lips"),
    26: ("a ", ("lowered", "dropped"), "jaw"),
    28: ("", ("sucked in", "drawn in"), "lips"),
}
# From which intensity (0..1) on an adverb is used; the last that fits counts.
STRENGTHS: tuple[tuple[float, str], ...] = ((0.0, "slightly "), (0.4, ""), (0.75, "strongly "))

# Tone field -> (how far from the speaker's habit it must be, word for less, word for more). Pitch, rise,
# tremor and melody in semitones, energy in dB, tempo in syllables a second, tilt in dB an octave, jitter as a
# share of F0.
TONE_WORDS: Mapping[str, tuple[float, str, str]] = {
    "pitch": (2.2, "low", "high"),
    "energy": (3.2, "soft", "loud"),
    "tempo": (0.75, "slow", "fast"),
    "tilt": (2.2, "breathy", "sharp"),
    "tremor": (0.35, "", "trembling"),
    "rise": (2.4, "falling", "rising"),
    "melody": (0.9, "flat", "lively"),
    "jitter": (0.01, "", "rough"),
}
PLAIN_TONE = "even"
UNITS_NAMED = 3  # a caption names the strongest few
TONES_NAMED = 2

STILL_FACES: tuple[str, ...] = ("no clear movement", "hardly any movement")

FACE_SENTENCES: tuple[str, ...] = (
    "The person shows {face}.",
    "The face shows {face}.",
    "We see {face}.",
    "In the picture we see {face}.",
)
TONE_SENTENCES: tuple[str, ...] = (
    "The person speaks in a {tone} tone.",
    "The voice has a {tone} tone.",
    "The tone of the voice is {tone}.",
)
TEXT_SENTENCES: tuple[str, ...] = ('The subtitle says: "{text}"', 'The words are: "{text}"')

BOTH_AGREE: tuple[str, ...] = (
    "The face shows {face}, and the {tone} voice fits that.",
    "The {tone} voice fits the face, which shows {face}.",
)
FACE_LEADS: tuple[str, ...] = (
    "The face shows {face}, while the {tone} voice says less.",
    "The {tone} voice says little, but we see {face}.",
)
VOICE_LEADS: tuple[str, ...] = (
    "The {tone} voice says more than the face, which shows {face}.",
    "We see {face}, but the {tone} voice says more.",
)
REASONS: Mapping[str, tuple[str, ...]] = {
    "neutral": ("Nothing stands out from how the person always is.", "The person is calm and at ease."),
    "angry": ("Such tension means that something is in the way.", "The person is ready to fight back."),
    "happy": ("Such warmth means that something went well.", "The person enjoys the moment."),
    "sad": ("Such heaviness means that something was lost.", "The person has little energy left."),
    "worried": ("Such unease means that something may go wrong.", "The person expects trouble."),
    "surprise": ("Such a start means that something was not expected.", "The person did not see it coming."),
    "fear": ("Such alarm means that there is danger.", "The person wants to get away."),
    "contempt": ("Such coldness means that someone is looked down on.", "The person feels above it."),
    "doubt": ("Such caution means that something is hard to believe.", "The person is not convinced."),
}
CONCLUSIONS: tuple[str, ...] = ("So the emotion is {label}.", "The emotion is therefore {label}.")


def pick(table: Sequence[str], rng: np.random.Generator) -> str:
    """One of the phrases."""
    return table[int(rng.integers(len(table)))]


def unit_phrase(unit: int, intensity: float, rng: np.random.Generator) -> str:
    """For example "slightly raised cheeks" for unit 6 at 0.3 of 1."""
    article, verbs, part = UNIT_PHRASES[unit]
    adverb = [word for least, word in STRENGTHS if intensity >= least][-1]
    return f"{article}{adverb}{pick(verbs, rng)} {part}"


def tone_word(distances: Mapping[str, float]) -> str:
    """One or two words for what stands out, most striking first.

    `distances` are how far each tone field is from the speaker's habit, in multiples of the least distance
    that counts, positive for more.
    """
    striking = []
    for name, distance in distances.items():
        _, less, more = TONE_WORDS[name]
        word = more if distance > 0 else less
        if abs(distance) >= 1 and word:
            striking.append((abs(distance), word))
    striking.sort(reverse=True)
    words = [word for _, word in striking[:TONES_NAMED]]
    return " and ".join(words) if words else PLAIN_TONE


def listed(items: Sequence[str]) -> str:
    """For example "a, b and c"."""
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


def grammatical(text: str) -> str:
    """`text` with the articles before tones, which templates get wrong, put right."""
    return text.replace(" a even ", " an even ").replace(" a angry ", " an angry ")


def unit_lexicon() -> dict[str, tuple[str, ...]]:
    """Each action unit, as "AU06", with the phrases that name it."""
    return {
        f"AU{unit:02d}": tuple(f"{verb} {part}" for verb in verbs)
        for unit, (_, verbs, part) in UNIT_PHRASES.items()
    }
