"""Any metric has intervals by cluster, a deviation over seeds and a paired test, from one form."""

import json

import numpy as np
import pytest

from emo.errors import ConfigError
from emo.evaluation.groups import by_group
from emo.evaluation.intervals import bootstrap_interval, paired_bootstrap
from emo.evaluation.mer2023 import labels_only
from emo.evaluation.summed import differences, measured, over_seeds

LABELS = ("a", "b", "c")


def answers(share, seed, speakers=30, each=8):
    """Clips of speakers, of which a `share` is answered right by whim of the seed."""
    rng = np.random.default_rng(seed)
    truth = [LABELS[place % 3] for place in range(speakers * each)]
    said = [label if rng.random() < share else LABELS[(LABELS.index(label) + 1) % 3] for label in truth]
    return truth, said, [f"s{place // each}" for place in range(len(truth))]


def test_intervals_are_those_of_the_bootstrap_over_confusion_counts():
    truth, said, speakers = answers(0.7, 1)
    found = measured(labels_only(truth, said, LABELS), speakers, seed=4)
    for each in found.scores:
        expected = bootstrap_interval(truth, said, LABELS, speakers, metric=each.metric, seed=4)
        assert (each.low, each.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (found.n, found.clusters, found.notes) == (240, 30, ())
    json.dumps(found.to_json(), allow_nan=False)


def test_every_figure_carries_n_and_the_invalid_rate():
    truth, said, speakers = answers(0.7, 1)
    found = measured(labels_only(truth, [None, *said[1:]], LABELS), speakers).to_json()
    assert all(one["n"] == 240 and one["invalid_rate"] == 1 / 240 for one in found["scores"].values())


def test_clips_without_speakers_are_told_to_give_too_narrow_an_interval():
    truth, said, _ = answers(0.7, 1)
    assert "too narrow" in measured(labels_only(truth, said, LABELS), None).notes[0]


def test_seeds_are_told_as_mean_and_standard_deviation():
    runs = [labels_only(["a"] * 10, ["a"] * right + ["b"] * (10 - right), LABELS) for right in (6, 7, 9)]
    war = next(each for each in over_seeds(runs) if each.metric == "war")
    assert war.mean == pytest.approx(22 / 30)
    assert war.deviation == pytest.approx(np.std([0.6, 0.7, 0.9], ddof=1))
    with pytest.raises(ConfigError, match="more seeds"):
        over_seeds(runs[:1])


def test_the_paired_test_of_one_run_each_is_that_of_the_labels():
    truth, good, speakers = answers(0.8, 1)
    poor = answers(0.6, 2)[1]
    runs = [[labels_only(truth, said, LABELS)] for said in (good, poor)]
    for each in differences(*runs, speakers, seed=3):
        expected = paired_bootstrap(truth, good, poor, LABELS, speakers, metric=each.metric, seed=3)
        assert (each.value, each.low, each.p_value) == pytest.approx(
            (expected.value, expected.low, expected.p_value), abs=1e-12
        )


def test_several_seeds_of_both_systems_are_compared_by_their_means():
    truth, _, speakers = answers(0.8, 1)
    first = [labels_only(truth, answers(0.8, seed)[1], LABELS) for seed in (1, 2, 3)]
    second = [labels_only(truth, answers(0.6, seed)[1], LABELS) for seed in (4, 5)]
    found = {each.metric: each for each in differences(first, second, speakers)}
    means = [np.mean([run.value("war") for run in runs]) for runs in (first, second)]
    assert found["war"].value == pytest.approx(means[0] - means[1])
    assert found["war"].low > 0


def test_runs_on_other_clips_are_not_compared():
    truth, said, _ = answers(0.8, 1)
    with pytest.raises(ConfigError, match="different numbers of clips"):
        differences([labels_only(truth, said, LABELS)], [labels_only(truth[:9], said[:9], LABELS)], None)


def grouped(shares):
    """Speakers of two declared groups that are understood with these shares, and some of none."""
    truth, said, speakers, groups = [], [], [], []
    for name, share in shares.items():
        one, other, who = answers(share, len(name), speakers=20)
        truth, said = truth + one, said + other
        speakers += [f"{name}{speaker}" for speaker in who]
        groups += [name] * len(one)
    return labels_only(truth, said, LABELS), groups, speakers


def test_the_worst_group_comes_first_and_a_true_gap_is_found():
    run, groups, speakers = grouped({"woman": 0.9, "man": 0.5})
    found = by_group(run, groups, speakers, score="uar", column="gender")
    assert [each.group for each in found.groups] == ["man", "woman"]
    assert found.gap.point == pytest.approx(found.groups[1].score.point - found.groups[0].score.point)
    assert found.gap.low > 0 and found.p_value < 0.01
    alone = measured(labels_only(["a", "b"], ["a", "c"], LABELS), None)
    assert alone.scores[1].metric == "uar"
    json.dumps(found.to_json(), allow_nan=False)


def test_a_gap_that_chance_makes_has_no_small_p_value():
    run, groups, speakers = grouped({"one": 0.7, "the other": 0.7})
    found = by_group(run, groups, speakers, score="uar", column="gender")
    assert found.gap.point > 0 and found.p_value > 0.05


def test_undeclared_clips_are_counted_and_a_thin_group_is_told():
    run, groups, speakers = grouped({"one": 0.7, "two": 0.7})
    thin = [group if group == "two" or place < 16 else None for place, group in enumerate(groups)]
    found = by_group(run, thin, speakers, score="uar", column="age")
    assert found.undeclared == 144
    assert "fewer than 5 speakers in one" in found.notes[0]
    with pytest.raises(ConfigError, match="declares 1 group"):
        by_group(run, ["two"] * len(groups), speakers, score="uar", column="age")


def wholly(understood):
    """Forty clips of each speaker, all of them right or all wrong, by group and speaker."""
    truth, said, groups, speakers = [], [], [], []
    for group, verdicts in understood.items():
        for number, right in enumerate(verdicts):
            truth += ["a", "b"] * 20
            said += ["a", "b"] * 20 if right else ["b", "a"] * 20
            groups += [group] * 40
            speakers += [f"{group}{number}"] * 40
    return labels_only(truth, said, LABELS), groups, speakers


def test_groups_are_shuffled_among_speakers_and_not_among_clips():
    run, groups, speakers = wholly({"one": (1, 1, 1, 0), "two": (1, 0, 0, 0)})
    found = by_group(run, groups, speakers, score="war", column="gender")
    assert found.gap.point == 0.5
    # of the 70 ways to give four of eight speakers to a group, 34 have a gap as large
    assert found.p_value == pytest.approx(34 / 70, abs=0.06)
    assert by_group(run, groups, None, score="war", column="gender").p_value == pytest.approx(1 / 1001)


def test_groups_are_resampled_apart_from_each_other():
    run, groups, speakers = wholly({"one": (1, 0, 1, 0), "two": (1, 0, 1, 0)})
    gap = by_group(run, groups, speakers, score="war", column="gender").gap
    assert gap.point == 0 and gap.low < -0.2 and gap.high > 0.2
