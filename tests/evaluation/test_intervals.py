"""Intervals hold the score, widen where clips come in clusters, and compare systems in pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.errors import ConfigError
from emo.evaluation.intervals import SCORES, bootstrap_interval, paired_bootstrap
from emo.evaluation.metrics import classification_scores, confusion_counts

LABELS = ("a", "b", "c")
PAIRS = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from((*LABELS, None))), min_size=1, max_size=40
)


def clustered(speakers: int, each: int) -> tuple[list[str], list[str], list[str]]:
    """Clips of speakers who are either always understood or never."""
    rng = np.random.default_rng(5)
    truth, predicted, names = [], [], []
    for speaker in range(speakers):
        understood = rng.random() < 0.6
        for label in rng.choice(LABELS, size=each):
            truth.append(str(label))
            predicted.append(str(label) if understood else LABELS[(LABELS.index(str(label)) + 1) % 3])
            names.append(f"speaker {speaker}")
    return truth, predicted, names


@settings(deadline=None)
@given(PAIRS)
def test_vectorised_scores_are_those_of_the_scores_class(pairs):
    truth, predicted = zip(*pairs, strict=True)
    counts = confusion_counts(truth, predicted, LABELS).astype(float)
    scores = classification_scores(truth, predicted, LABELS)
    for name, score in SCORES.items():
        assert float(score(counts)) == pytest.approx(getattr(scores, name), abs=1e-12)


def test_clusters_widen_the_interval_where_clips_of_a_speaker_go_together():
    truth, predicted, speakers = clustered(20, 15)
    by_speaker = bootstrap_interval(truth, predicted, LABELS, speakers)
    by_clip = bootstrap_interval(truth, predicted, LABELS)
    assert by_speaker.high - by_speaker.low > 2 * (by_clip.high - by_clip.low)
    assert by_speaker.point == by_clip.point
    assert (by_speaker.clusters, by_clip.clusters) == (20, 300)


def test_the_interval_holds_the_point_and_is_the_same_for_one_seed():
    truth, predicted, speakers = clustered(12, 5)
    one = bootstrap_interval(truth, predicted, LABELS, speakers, seed=3)
    assert one.low <= one.point <= one.high
    assert one == bootstrap_interval(truth, predicted, LABELS, speakers, seed=3)
    assert one != bootstrap_interval(truth, predicted, LABELS, speakers, seed=4)


def test_the_interval_of_an_accuracy_is_close_to_the_binomial_one():
    truth = ["a"] * 400
    predicted = ["a"] * 300 + ["b"] * 100
    interval = bootstrap_interval(truth, predicted, LABELS, metric="war", resamples=4000)
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert interval.low == pytest.approx(0.75 - half, abs=0.006)
    assert interval.high == pytest.approx(0.75 + half, abs=0.006)


def test_a_clip_without_a_speaker_is_a_cluster_of_its_own():
    interval = bootstrap_interval(["a"] * 5, ["a"] * 5, LABELS, ["x", "x", None, None, "clip"])
    assert interval.clusters == 4


def test_one_speaker_has_no_interval_and_none_is_told():
    truth, predicted = ["a", "b", "a", "b"], ["a", "b", "b", None]
    alone = bootstrap_interval(truth, predicted, LABELS, ["s"] * 4, metric="war")
    assert (str(alone), alone.bounds) == ("0.500 [no interval: one speaker]", "-")
    two = bootstrap_interval(truth, predicted, LABELS, ["s", "s", "t", "t"], metric="war")
    assert (str(two), two.bounds) == ("0.500 [0.000, 1.000]", "0.000 to 1.000")


def test_a_better_system_is_found_better_and_an_equal_one_is_not():
    rng = np.random.default_rng(0)
    truth = [str(label) for label in rng.choice(LABELS, size=200)]
    good = [label if rng.random() < 0.9 else "a" for label in truth]
    poor = [label if rng.random() < 0.5 else "a" for label in truth]
    better = paired_bootstrap(truth, good, poor, LABELS)
    assert better.low > 0 and better.p_value < 0.01
    same = paired_bootstrap(truth, good, good, LABELS)
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_the_p_value_is_two_sided():
    """Better on one clip of ten: equal on the resamples that miss it, 0.9 ** 10 of them."""
    truth = ["a", "b"] * 5
    found = paired_bootstrap(truth, truth, ["b", *truth[1:]], LABELS, metric="war")
    assert found.value == pytest.approx(0.1)
    assert found.p_value == pytest.approx(2 * 0.9**10, abs=0.06)


def test_pairing_gives_a_narrower_interval_than_two_separate_ones():
    truth, predicted, speakers = clustered(20, 10)
    rng = np.random.default_rng(1)
    nearly = [label if rng.random() < 0.95 else "a" for label in predicted]
    difference = paired_bootstrap(truth, predicted, nearly, LABELS, speakers)
    alone = bootstrap_interval(truth, predicted, LABELS, speakers)
    assert difference.high - difference.low < 0.5 * (alone.high - alone.low)


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match="no metric 'f2'"):
        bootstrap_interval(["a"], ["a"], LABELS, metric="f2")
    with pytest.raises(ConfigError, match="1 clips but 2 clusters"):
        bootstrap_interval(["a"], ["a"], LABELS, ["x", "y"])
