"""Scores of numbers equal the formula and scikit-learn; a missing number is neutral and counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, mean_absolute_error, mean_squared_error

from emo.errors import ConfigError
from emo.evaluation.continuous import concordance, pearson, regression
from emo.evaluation.mer2023 import mer2023
from emo.evaluation.summed import measured
from emo.labels import MER2023

NUMBERS = st.floats(-5, 5).map(lambda value: round(value, 6))
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=40)
ANSWERS = st.lists(
    st.tuples(st.sampled_from(MER2023), st.sampled_from((*MER2023, None)), NUMBERS, NUMBERS),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_scores_of_numbers_are_those_of_the_formulas(pairs):
    truth, predicted = np.array(pairs).T
    run = regression(truth, predicted)
    covariance = float(np.mean(truth * predicted) - truth.mean() * predicted.mean())
    spread = truth.var() + predicted.var() + (truth.mean() - predicted.mean()) ** 2
    ccc = 2 * covariance / spread if spread > 0 else 0.0
    assert run.value("ccc") == pytest.approx(ccc, abs=1e-12, rel=1e-9)
    assert run.value("mse") == pytest.approx(mean_squared_error(truth, predicted), abs=1e-12)
    assert run.value("mae") == pytest.approx(mean_absolute_error(truth, predicted), abs=1e-12)
    if truth.std() > 1e-3 and predicted.std() > 1e-3:
        assert run.value("corr") == pytest.approx(np.corrcoef(truth, predicted)[0, 1], abs=1e-12)
        for name, statistic in run.statistics.items():
            assert float(statistic(run.rows.sum(axis=0))) == pytest.approx(run.points[name], abs=1e-6)


def test_ccc_on_numbers_worked_by_hand():
    assert concordance([1, 2, 3], [1, 2, 3]) == 1
    assert concordance([1, 2, 3], [2, 3, 4]) == pytest.approx(2 * (2 / 3) / (2 / 3 + 2 / 3 + 1))
    assert concordance([1, 1], [1, 1]) == 0
    assert pearson([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert pearson([1, 2, 3], [5, 5, 5]) == 0


@settings(max_examples=40, deadline=None)
@given(ANSWERS)
def test_the_combined_score_is_weighted_f1_less_a_quarter_of_the_squared_error(answers):
    truth, predicted, valence, guessed = zip(*answers, strict=True)
    run = mer2023(truth, predicted, MER2023, valence, guessed)
    named = [label or "?" for label in predicted]
    f1 = f1_score(truth, named, labels=list(MER2023), average="weighted", zero_division=0)
    expected = f1 - 0.25 * mean_squared_error(valence, guessed)
    assert run.value("combined") == pytest.approx(expected, abs=1e-12)
    for name, statistic in run.statistics.items():
        assert float(statistic(run.rows.sum(axis=0))) == pytest.approx(run.points[name], abs=1e-12)


def test_an_answer_without_a_valence_counts_as_neutral_and_as_invalid():
    run = mer2023(["happy"] * 4, ["happy"] * 4, MER2023, [2.0] * 4, [2.0, 2.0, 2.0, None])
    found = measured(run, None)
    assert found.invalid_rate == 0.25
    assert run.value("mse") == 1.0
    assert any("counts as 0" in note for note in found.notes)


def test_numbers_that_are_not_finite_and_lengths_that_differ_are_refused():
    with pytest.raises(ConfigError, match="1 of 2 true values are not finite"):
        regression([float("nan"), 1.0], [1.0, 1.0])
    with pytest.raises(ConfigError, match="Give one of each"):
        concordance([1.0], [1.0, 2.0])
