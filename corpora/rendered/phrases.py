"""Word tables: action units, tones and reasons in plain English, and the sentences people say.

The vocabulary is small on purpose, so that a tokenizer of a few hundred entries covers it. No phrase for
a face, a voice or a subtitle contains the name of a class: only the last sentence of a reason does.
"""

from __future__ import annotations

from collections.abc import Mapping

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
}
# From which intensity (0..1) on an adverb is used; the last that fits counts.
STRENGTHS: tuple[tuple[float, str], ...] = ((0.0, "slightly "), (0.4, ""), (0.75, "strongly "))

# Tone field -> (how far from the speaker's habit it must be, word for less, word for more).
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

# Everyday sentences, drawn without regard to the class.
SUBJECTS: tuple[str, ...] = ("I", "We", "They", "My friend", "My sister", "The teacher", "The driver")
ACTIONS: tuple[str, ...] = (
    "called",
    "came back",
    "left the house",
    "opened the door",
    "read the letter",
    "found the key",
    "bought the tickets",
    "moved the table",
    "waited",
    "talked about the plan",
)
PLACES: tuple[str, ...] = (
    "",
    " at the station",
    " in the kitchen",
    " near the school",
    " at work",
    " in town",
)
TIMES: tuple[str, ...] = (
    "",
    " today",
    " last night",
    " this morning",
    " on Monday",
    " an hour ago",
    " again",
)
