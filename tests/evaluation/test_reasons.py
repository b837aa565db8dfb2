"""Reasons are held to planted clues: what they name, whose label they conclude with, what they repeat."""

import pytest

from emo.errors import ConfigError
from emo.evaluation.reasons import ClueTruth, named_clues, score_reasons

LEXICON = {
    "AU06": ("raised cheeks", "lifted cheeks"),
    "AU14": ("tightened lip corners",),
    "AU23": ("tightened lips",),
    "loud voice": ("loud",),
}
LABELS = ("happy", "angry")


def truth(label, *clues, also=()):
    return ClueTruth(label=label, clues=frozenset(clues), also=frozenset(also))


def scored(reasons, truths, **options):
    speakers = options.pop("speakers", [None] * len(reasons))
    return score_reasons(reasons, truths, speakers, LEXICON, LABELS, **options)


def test_a_clue_is_named_by_whole_phrases_only():
    assert named_clues("We see strongly Raised  cheeks.", LEXICON) == {"AU06"}
    assert named_clues("tightened lip corners, cloudy", LEXICON) == {"AU14"}
    assert named_clues("raised brows and cheeks", LEXICON) == frozenset()


def test_counts_give_precision_recall_and_f1():
    reasons = ["Raised cheeks and a loud voice. So it is happy.", "Tightened lips. So it is happy."]
    scores = scored(reasons, [truth("happy", "AU06"), truth("angry", "AU23", "loud voice")])
    assert scores.clue_precision.point == pytest.approx(2 / 3)
    assert scores.clue_recall.point == pytest.approx(2 / 3)
    assert scores.clue_f1.point == pytest.approx(2 / 3)
    assert scores.names_label.point == 0.5


def test_what_is_true_but_not_written_down_is_no_mistake_and_no_duty():
    lenient = truth("happy", "AU06", also=("loud voice",))
    named = scored(["Raised cheeks, loud."], [lenient])
    silent = scored(["Raised cheeks."], [lenient])
    assert named.clue_f1.point == silent.clue_f1.point == 1
    assert scored(["Loud."], [lenient]).clue_recall.point == 0


def test_reasons_that_do_not_look_score_no_better_than_chance():
    truths = [truth("happy", "AU06"), truth("angry", "AU23")] * 10
    blind = scored(["Raised cheeks."] * 20, truths)
    seeing = scored(["Raised cheeks.", "Tightened lips."] * 10, truths)
    assert blind.chance_f1 == pytest.approx(blind.clue_f1.point)
    assert seeing.clue_f1.point == 1 > seeing.chance_f1


def test_repetition_is_seen():
    once = scored(["one two three four five six"], [truth("happy")])
    again = scored(["one two three four one two three four"], [truth("happy")])
    assert once.repetition.point == 0 and once.distinct_2 == 1
    assert again.repetition.point == pytest.approx(1 / 5)
    assert again.distinct_2 == pytest.approx(4 / 7)


def test_the_interval_resamples_speakers():
    truths = [truth("happy", "AU06")] * 8
    reasons = ["Raised cheeks."] * 4 + ["Nothing."] * 4
    apart = scored(reasons, truths)
    together = scored(reasons, truths, speakers=["a"] * 4 + ["b"] * 4)
    assert together.clue_recall.clusters == 2 and apart.clue_recall.clusters == 8
    width = [each.clue_recall.high - each.clue_recall.low for each in (apart, together)]
    assert width[0] < width[1] == 1


def test_lengths_and_unknown_clues_are_refused():
    with pytest.raises(ConfigError, match="1 reasons, 2 truths"):
        scored(["x"], [truth("happy")] * 2)
    with pytest.raises(ConfigError, match="AU99"):
        scored(["x"], [truth("happy", "AU99")])
