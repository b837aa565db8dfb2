"""The strict reading of a label: what is named last counts, and nothing is repaired into a class."""

import pytest

from emo.labels import DFEW, LABEL_SETS, MER2023, MERR, parse_label, what_instead


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("happy", "happy"),
        ("  Happy!\n", "happy"),
        ("The emotion is ANGRY.", "angry"),
        ("At first she is happy, and in the end sad.", "sad"),
        ('{"label": "worried"}', "worried"),
        ("情绪是neutral。", "neutral"),
        ("unhappy", None),
        ("happiness", None),
        ("fear", None),
        ("", None),
        ("I cannot say.", None),
    ],
)
def test_a_label_is_a_whole_word_and_the_last_one_counts(text, label):
    assert parse_label(text, MER2023) == label


def test_labels_are_those_of_the_set_that_is_asked():
    assert parse_label("fear", MERR) == "fear"
    assert parse_label("worried, or disgust", DFEW) == "disgust"
    assert LABEL_SETS == {"mer2023": MER2023, "merr": MERR, "dfew": DFEW}
    assert (len(MER2023), len(MERR), len(DFEW)) == (6, 9, 7)


def test_labels_in_capitals_are_told_how_to_be_written():
    assert what_instead(["Happy", "SAD "], MER2023) == "Write them as the label set does: happy, sad."
    assert "--labels" in what_instead(["Happy", "bored"], MER2023)
