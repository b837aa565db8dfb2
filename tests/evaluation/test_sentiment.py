"""MOSI, MOSEI and SIMS scores equal the conventions of MMSA, written down here once more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from emo.evaluation.sentiment import mosi, sims

VALUES = st.floats(-4, 4).map(lambda value: round(value * 2) / 2) | st.floats(-4, 4)
PAIRS = st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=40)


def weighted(one, other):
    return f1_score(one, other, average="weighted", zero_division=0)


def binned(values, edges):
    """The bin (low, high] of each value, as MMSA goes through them."""
    found = np.zeros(len(values))
    for place in range(len(edges) - 1):
        found[(values > edges[place]) & (values <= edges[place + 1])] = place
    return found


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_mosi_scores_are_those_of_the_convention(pairs):
    truth, predicted = np.array(pairs).T
    run = mosi(truth, predicted)
    expected = {
        "acc2_has0": accuracy_score(truth >= 0, predicted >= 0),
        "f1_has0": weighted(truth >= 0, predicted >= 0),
        "acc7": np.mean(np.round(np.clip(truth, -3, 3)) == np.round(np.clip(predicted, -3, 3))),
        "acc5": np.mean(np.round(np.clip(truth, -2, 2)) == np.round(np.clip(predicted, -2, 2))),
        "mae": np.mean(np.abs(truth - predicted)),
    }
    moved = truth != 0
    if moved.any():
        expected["acc2_non0"] = accuracy_score(truth[moved] > 0, predicted[moved] > 0)
        expected["f1_non0"] = weighted(truth[moved] > 0, predicted[moved] > 0)
    for name, value in expected.items():
        assert run.value(name) == pytest.approx(value, abs=1e-12)
        assert float(run.statistics[name](run.rows.sum(axis=0))) == pytest.approx(value, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_sims_scores_are_those_of_the_convention(pairs):
    truth, predicted = np.array(pairs).T / 3
    run = sims(truth, predicted)
    one, other = np.clip(truth, -1, 1), np.clip(predicted, -1, 1)
    edges = {2: [-1.01, 0, 1.01], 3: [-1.01, -0.1, 0.1, 1.01], 5: [-1.01, -0.7, -0.1, 0.1, 0.7, 1.01]}
    for classes, cuts in edges.items():
        expected = np.mean(binned(one, cuts) == binned(other, cuts))
        assert run.value(f"acc{classes}") == pytest.approx(expected, abs=1e-12)
    f1 = weighted(binned(one, edges[2]), binned(other, edges[2]))
    assert run.value("f1") == pytest.approx(f1, abs=1e-12)
    assert float(run.statistics["f1"](run.rows.sum(axis=0))) == pytest.approx(f1, abs=1e-12)


def test_a_neutral_clip_is_left_out_kept_or_negative_by_the_convention():
    truth, predicted = [0.0, 0.0, 1.0, -1.0], [0.5, -0.5, 1.0, -1.0]
    both = mosi(truth, predicted)
    assert (both.value("acc2_non0"), both.value("acc2_has0")) == (1.0, 0.75)
    assert both.details["neutral_clips"] == 2
    assert sims(truth, predicted).value("acc2") == 0.75


def test_halves_round_to_even():
    assert mosi([0.5, 1.5], [0.0, 2.0]).value("acc7") == 1.0
