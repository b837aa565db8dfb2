"""Scores of numbers worked by hand; a missing number is neutral and counted. Formulas: test_references.py."""

import pytest

from emo.errors import ConfigError
from emo.evaluation.continuous import concordance, pearson, regression
from emo.evaluation.mer2023 import mer2023
from emo.evaluation.summed import measured
from emo.labels import MER2023


def test_ccc_on_numbers_worked_by_hand():
    assert concordance([1, 2, 3], [1, 2, 3]) == 1
    assert concordance([1, 2, 3], [2, 3, 4]) == pytest.approx(2 * (2 / 3) / (2 / 3 + 2 / 3 + 1))
    assert concordance([1, 1], [1, 1]) == 0
    assert pearson([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert pearson([1, 2, 3], [5, 5, 5]) == 0


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
