"""Every metric equals a reference written anew from its definition, in exact fractions where it can.

Answers are random, with invalid ones, one class, nothing said, constants. docs/evaluation.md lists which
test is for which metric.
"""

import re
from decimal import Decimal, getcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_fscore_support

from emo.evaluation.calibration import calibration_scores, expected_calibration_error
from emo.evaluation.continuous import concordance, pearson, regression
from emo.evaluation.mer2023 import labels_only, mer2023
from emo.evaluation.metrics import classification_scores
from emo.evaluation.open_words import hit_rate, set_overlap, wheel_scores
from emo.evaluation.sentiment import mosi, sims
from emo.evaluation.wheels import EmotionWheels

getcontext().prec = 60
EXACT = 1e-12
CLASSES = ("neutral", "angry", "happy", "sad")
LABELLED = st.lists(
    st.tuples(st.sampled_from(CLASSES), st.sampled_from((*CLASSES, None))), min_size=1, max_size=50
)
FEW = st.sampled_from((-3.0, -1.0, -0.1, 0.0, 0.1, 0.7, 1.0, 2.5, 3.0))
NUMBER = FEW | st.floats(-4, 4).map(lambda value: round(value, 4))
ANSWER = NUMBER | st.none()
NUMBERED = st.lists(st.tuples(NUMBER, ANSWER), min_size=1, max_size=40)


def close(expected):
    return pytest.approx(float(expected), abs=EXACT, rel=0)


def mean(values):
    return sum(values, Fraction(0)) / len(values) if values else Fraction(0)


def answered(pairs):
    """Truths and answers as fractions; what has no number is 0."""
    return [Fraction(true) for true, _ in pairs], [Fraction(said or 0) for _, said in pairs]


# Labels


@settings(max_examples=40, deadline=None)
@given(LABELLED)
@example([("sad", None)])
@example([("sad", "happy")] * 3)
def test_label_scores_are_counts_over_counts(pairs):
    scores = classification_scores(*zip(*pairs, strict=True), CLASSES)
    found = labels_only(*zip(*pairs, strict=True), CLASSES)
    recalls, weighted = [], Fraction(0)
    for row in scores.per_class:
        right = sum(true == said == row.label for true, said in pairs)
        support, named = (sum(pair[place] == row.label for pair in pairs) for place in (0, 1))
        precision = Fraction(right, named) if named else Fraction(0)
        recall = Fraction(right, support) if support else Fraction(0)
        f1 = 2 * precision * recall / (precision + recall) if right else Fraction(0)
        assert (row.precision, row.recall, row.f1) == (close(precision), close(recall), close(f1))
        assert row.support == support
        weighted += Fraction(support, len(pairs)) * f1
        recalls += [recall] if support else []
    war = Fraction(sum(true == said for true, said in pairs), len(pairs))
    expected = {"weighted_f1": weighted, "uar": mean(recalls), "war": war}
    for name, value in expected.items():
        assert getattr(scores, name) == close(value)
        assert found.value(name) == close(value)
        assert float(found.statistics[name](found.rows.sum(axis=0))) == close(value)
    assert scores.invalid_rate == close(Fraction(sum(said is None for _, said in pairs), len(pairs)))


@settings(max_examples=40, deadline=None)
@given(LABELLED)
def test_each_class_is_that_of_scikit_learn(pairs):
    truth, predicted = zip(*pairs, strict=True)
    named = [said or "?" for said in predicted]
    expected = precision_recall_fscore_support(truth, named, labels=list(CLASSES), zero_division=0)
    got = [
        (row.precision, row.recall, row.f1, row.support)
        for row in classification_scores(truth, predicted, CLASSES).per_class
    ]
    np.testing.assert_allclose(got, np.transpose(expected), atol=EXACT)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(CLASSES), st.sampled_from((*CLASSES, None)), NUMBER, ANSWER), min_size=1
    )
)
def test_the_score_of_mer2023_with_labels_and_valences_that_are_missing(rows):
    truth, predicted, valence, guessed = zip(*rows, strict=True)
    run = mer2023(truth, predicted, CLASSES, valence, guessed)
    named = [said or "?" for said in predicted]
    f1 = f1_score(truth, named, labels=list(CLASSES), average="weighted", zero_division=0)
    x, y = answered(list(zip(valence, guessed, strict=True)))
    error = mean([(a - b) ** 2 for a, b in zip(x, y, strict=True)])
    assert run.value("combined") == close(f1 - float(error) / 4)
    assert run.invalid.tolist() == [None in row for row in rows]


# Numbers


def moments_of(x, y):
    """Means, variances and covariance, exactly."""
    mx, my = mean(x), mean(y)
    covariance = mean([(a - mx) * (b - my) for a, b in zip(x, y, strict=True)])
    return mx, my, mean([(a - mx) ** 2 for a in x]), mean([(b - my) ** 2 for b in y]), covariance


def root(value):
    return (Decimal(value.numerator) / Decimal(value.denominator)).sqrt()


def exact_correlation(x, y):
    _, _, xx, yy, xy = moments_of(x, y)
    return Decimal(xy.numerator) / Decimal(xy.denominator) / root(xx * yy) if xx * yy else Decimal(0)


def exact_concordance(x, y):
    mx, my, xx, yy, xy = moments_of(x, y)
    spread = xx + yy + (mx - my) ** 2
    return 2 * xy / spread if spread else Fraction(0)


@settings(max_examples=60, deadline=None)
@given(NUMBERED)
@example([(0.1, 0.1)] * 3)
@example([(0.1, 0.7)] * 3)
@example([(0.1, value) for value in (0.7, -0.1, None)])
@example([(value, 0.1) for value in (0.7, -0.1, 2.5, 0.7, 0.1, 0.1, 3.0)])
def test_concordance_correlation_and_errors_are_those_of_exact_arithmetic(pairs):
    x, y = answered(pairs)
    gaps = [a - b for a, b in zip(x, y, strict=True)]
    expected = {
        "ccc": exact_concordance(x, y),
        "corr": exact_correlation(x, y),
        "mse": mean([gap**2 for gap in gaps]),
        "mae": mean([abs(gap) for gap in gaps]),
    }
    run = regression(*zip(*pairs, strict=True))
    for name, value in expected.items():
        assert run.value(name) == close(value), name
        assert float(run.statistics[name](run.rows.sum(axis=0))) == pytest.approx(float(value), abs=1e-9), (
            name
        )
    floats = [[float(value) for value in values] for values in (x, y)]
    assert concordance(*floats) == close(expected["ccc"])
    assert pearson(*floats) == close(expected["corr"])
    assert run.invalid.tolist() == [said is None for _, said in pairs]


def test_ones_own_large_mean_loses_no_digits():
    x, y = [1e6 + 0.25, 1e6 + 0.5, 1e6 + 1.0], [1e6 + 0.5, 1e6 + 0.25, 1e6 + 2.0]
    exact = [[Fraction(value) for value in values] for values in (x, y)]
    assert concordance(x, y) == close(exact_concordance(*exact))
    assert pearson(x, y) == close(exact_correlation(*exact))


# Sentiment


def binary(pairs):
    """Accuracy and weighted F1 of two classes, (true, answered) bool."""
    if not pairs:
        return Fraction(0), Fraction(0)
    weighted = Fraction(0)
    for one in (False, True):
        both = sum(true == said == one for true, said in pairs)
        either = sum(true == one for true, _ in pairs) + sum(said == one for _, said in pairs)
        share = Fraction(sum(true == one for true, _ in pairs), len(pairs))
        weighted += share * (Fraction(2 * both, either) if either else 0)
    return Fraction(sum(true == said for true, said in pairs), len(pairs)), weighted


def nearest(value, limit):
    """Clipped and rounded, halves to the even number."""
    return round(max(Fraction(-limit), min(Fraction(limit), value)))


def check(run, expected):
    for name, value in expected.items():
        assert run.value(name) == close(value), name
        assert float(run.statistics[name](run.rows.sum(axis=0))) == pytest.approx(float(value), abs=1e-9), (
            name
        )


@settings(max_examples=40, deadline=None)
@given(NUMBERED)
@example([(0.0, 1.0), (0.0, None)])
@example([(0.5, 1.5), (1.5, 2.5), (2.5, 3.5), (-0.5, -3.5)])
def test_mosi_and_mosei_with_and_without_neutral_clips(pairs):
    x, y = answered(pairs)
    both = list(zip(x, y, strict=True))
    non0 = binary([(a > 0, b > 0) for a, b in both if a != 0])
    has0 = binary([(a >= 0, b >= 0) for a, b in both])
    expected = {"acc2_non0": non0[0], "f1_non0": non0[1], "acc2_has0": has0[0], "f1_has0": has0[1]}
    for classes, limit in ((7, 3), (5, 2)):
        expected[f"acc{classes}"] = mean([Fraction(nearest(a, limit) == nearest(b, limit)) for a, b in both])
    expected |= {"mae": mean([abs(a - b) for a, b in both]), "corr": exact_correlation(x, y)}
    run = mosi(*zip(*pairs, strict=True))
    assert set(expected) == set(run.statistics)
    check(run, expected)
    assert run.details["neutral_clips"] == sum(a == 0 for a in x)


@settings(max_examples=40, deadline=None)
@given(NUMBERED)
@example([(0.0, 0.1), (-0.1, 0.0), (0.7, 0.7), (-0.7, None), (1.0, 3.0)])
def test_sims_counts_zero_as_negative_and_a_cut_with_the_class_below(pairs):
    x, y = answered(pairs)
    cuts = {2: ["0"], 3: ["-0.1", "0.1"], 5: ["-0.7", "-0.1", "0.1", "0.7"]}
    inside = [
        (max(-1.0, min(1.0, float(a))), max(-1.0, min(1.0, float(b)))) for a, b in zip(x, y, strict=True)
    ]

    def place(value, classes):
        return sum(value > float(cut) for cut in cuts[classes])

    accuracy, f1 = binary([(a > 0, b > 0) for a, b in inside])
    expected = {"acc2": accuracy, "f1": f1}
    for classes in (3, 5):
        same = [Fraction(place(a, classes) == place(b, classes)) for a, b in inside]
        expected[f"acc{classes}"] = mean(same)
    gaps = [abs(a - b) for a, b in zip(x, y, strict=True)]
    run = sims(*zip(*pairs, strict=True))
    assert set(run.statistics) == {*expected, "mae", "corr"}
    check(run, expected | {"mae": mean(gaps), "corr": exact_correlation(x, y)})


# Word lists

WORD = st.sampled_from(("Joy", "joy", "glad", "calm", "sad", "blue", "fear", "numb"))
TRUE_WORDS = st.lists(WORD, min_size=1, max_size=4)
SAID_WORDS = st.lists(WORD, max_size=4) | st.none()
GROUPS = st.permutations(["joy", "glad", "calm", "sad", "blue", "fear", "numb"]).flatmap(
    lambda words: st.lists(st.integers(1, 6), max_size=3).map(
        lambda cuts: [
            words[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 7], strict=True) if b > a
        ]
    )
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TRUE_WORDS, SAID_WORDS, GROUPS), min_size=1, max_size=15))
@example([(["sad"], None, [["sad"]])])
def test_set_accuracy_and_recall_within_synonym_groups(rows):
    accuracies, recalls = [], []
    for truth, said, groups in rows:
        true, given_words = (
            {next(group[0] for group in groups if word.lower() in group) for word in words}
            for words in (truth, said or [])
        )
        both = len(true & given_words)
        accuracies.append(Fraction(both, len(given_words)) if given_words else Fraction(0))
        recalls.append(Fraction(both, len(true)))
    run = set_overlap(*zip(*rows, strict=True))
    expected = {"set_accuracy": mean(accuracies), "set_recall": mean(recalls)}
    check(run, expected | {"average": (mean(accuracies) + mean(recalls)) / 2})
    assert run.invalid.tolist() == [not said for _, said, _ in rows]


FORMS = ("joy", "glad", "calm", "sad", "blue", "fear", "numb")
BASES = ("b1", "b2", "b3", "b4")
MEANINGS = ("m1", "m2", "m3", "m4", "m5")


def some(names, most=3):
    return st.lists(st.sampled_from(names), min_size=1, max_size=most, unique=True).map(tuple)


SECTORS = st.dictionaries(st.sampled_from(MEANINGS), st.sampled_from(("s1", "s2", "s3")))
WHEELS = st.builds(
    lambda bases, meanings, places: EmotionWheels(
        version="ew-drawn", bases=bases, meanings=meanings, places=tuple({1: a, 2: b} for a, b in places)
    ),
    st.dictionaries(st.sampled_from(FORMS), some(BASES)),
    st.dictionaries(st.sampled_from(BASES), some(MEANINGS)),
    st.lists(st.tuples(SECTORS, SECTORS), min_size=5, max_size=5),
)


def sector(wheels, word, wheel, level):
    """The map of the published code: bases of the form, wheel words of the bases, the first by alphabet."""
    if word not in wheels.bases:
        return None
    candidates = []
    for base in wheels.bases[word]:
        candidates += wheels.meanings.get(base, ())
    on_wheel = [one for one in sorted(set(candidates)) if one in wheels.places[wheel][level]]
    return wheels.places[wheel][level][on_wheel[0]] if on_wheel else None


@settings(max_examples=40, deadline=None)
@given(WHEELS, st.lists(st.tuples(TRUE_WORDS, SAID_WORDS), min_size=1, max_size=12))
def test_wheel_scores_are_f_of_the_means_and_the_mean_of_wheels(wheels, rows):
    run = wheel_scores(*zip(*rows, strict=True), wheels)
    of_levels = []
    for level in (1, 2):
        figures, kept = [], []
        for wheel in range(5):
            precisions, recalls = [], []
            for truth, said in rows:
                true, answer = (
                    {sector(wheels, word.lower(), wheel, level) for word in words} - {None}
                    for words in (truth, said or [])
                )
                if true:
                    both = len(true & answer)
                    precisions.append(Fraction(both, len(answer)) if answer else Fraction(0))
                    recalls.append(Fraction(both, len(true)))
            p, r = mean(precisions), mean(recalls)
            figures.append((2 * p * r / (p + r) if p + r else Fraction(0), p, r))
            kept.append(len(precisions))
        names = ("f", "precision", "recall")
        of_level = {
            f"{name}_level{level}": mean([one[place] for one in figures]) for place, name in enumerate(names)
        }
        check(run, of_level)
        assert run.details[f"kept_level{level}"] == kept
        of_levels.append(of_level[f"f_level{level}"])
    check(run, {"mean_f": mean(of_levels)})


@settings(max_examples=40, deadline=None)
@given(WHEELS, st.lists(st.tuples(st.sampled_from((*FORMS, "neutral")), SAID_WORDS), min_size=1, max_size=12))
def test_the_hit_rate_counts_the_clips_that_a_wheel_has_a_place_for(wheels, rows):
    run = hit_rate(*zip(*rows, strict=True), wheels)
    rates, kept = [], []
    for wheel in range(5):
        hits, lost = [], {}
        for label, said in rows:
            true = sector(wheels, label, wheel, 1)
            if true is None:
                lost[label] = lost.get(label, 0) + 1
            else:
                hits.append(Fraction(true in {sector(wheels, word.lower(), wheel, 1) for word in said or []}))
        assert run.details["dropped"][wheel] == lost
        kept.append(len(hits))
        rates.append(mean(hits))
    check(run, {"hit_rate": mean(rates)})
    assert run.details["effective_n"] == kept
    lengths = [len(said or []) for _, said in rows]
    assert run.details["labels_per_clip"] == close(Fraction(sum(lengths), len(lengths)))


# Probabilities


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from(("a", "b"))), min_size=1, max_size=40),
    st.sampled_from((1, 10, 15, 25)),
)
@example([(28, "a"), (29, "b")], 25)  # 0.56 * 25 is not 14 in floating point
@example([(0, "a"), (50, "b")], 15)
def test_calibration_error_is_the_gap_of_bins_that_hold_their_upper_edge(rows, bins):
    surer = np.array([count / 50 for count, _ in rows])
    values, truth = np.column_stack([surer, 1 - surer]), [name for _, name in rows]
    gaps = Fraction(0)
    for place in range(bins):
        low, high = place / bins, (place + 1) / bins
        inside = [
            (Fraction(max(row)), (row[0] >= row[1]) == (name == "a"))
            for row, name in zip(values.tolist(), truth, strict=True)
            if low < max(row) <= high
        ]
        gaps += abs(sum((confidence - right for confidence, right in inside), Fraction(0)))
    expected = close(gaps / len(rows))
    assert expected_calibration_error(values, truth, ("a", "b"), bins) == expected
    assert calibration_scores(values, truth, ("a", "b"), bins=bins).ece.point == expected


def test_the_page_names_a_test_that_is_there_for_each_metric():
    page = (Path(__file__).parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", page)
    assert len(named) >= 15
    for file, test in named:
        held = (Path(__file__).parent / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in held, test
