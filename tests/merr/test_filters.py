"""What is taken out of the fine set again: as many neutral clips as others, no label far above the median."""

from emo.config.merr import MerrConfig
from emo.merr.filters import neutrals_left_out, over_represented
from emo.merr.quality import texts

CONFIG = MerrConfig()


def numbered(**counts):
    return {f"{label}{number}": label for label, count in counts.items() for number in range(count)}


def test_as_many_neutral_clips_are_drawn_as_other_labels_have_in_the_mean_and_accepted_ones_stay():
    labels = numbered(neutral=10, happy=2, sad=4)
    gone = {drop.clip_id for drop in neutrals_left_out(labels, CONFIG, frozenset())}
    assert len(gone) == 10 - 3 and all(labels[clip_id] == "neutral" for clip_id in gone)
    every = frozenset(clip_id for clip_id, label in labels.items() if label == "neutral")
    assert neutrals_left_out(labels, CONFIG, every) == []


def test_a_label_has_at_most_three_times_the_entries_of_the_median_label():
    labels = numbered(happy=2, sad=2, angry=20, neutral=50)
    drops = over_represented(labels, CONFIG, frozenset())
    assert len(drops) == 20 - 6 and {labels[drop.clip_id] for drop in drops} == {"angry"}
    assert drops[0].detail == "20 entries are angry, 6 are kept"


def test_texts_that_nearly_repeat_are_counted():
    first = "the person raises both brows and opens the eyes very wide while the voice is high and fast"
    near = first + " now"
    assert (
        texts([first, near, "something else is said here about a quiet morning"])["with_near_duplicate"] == 1
    )
