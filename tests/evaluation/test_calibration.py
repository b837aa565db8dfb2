"""Calibration figures against definitions by hand, the temperature against a known one, risk by coverage."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from emo.errors import ConfigError
from emo.evaluation.calibration import calibration_scores, expected_calibration_error
from emo.evaluation.selective import risk_coverage
from emo.evaluation.temperature import Calibration, fit_calibration

LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def drawn():
    """Scores whose softmax at temperature 2.5 is the truth's distribution."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (3000, 3))
    shares = softmax(logits / 2.5, axis=1)
    truth = [LABELS[rng.choice(3, p=row)] for row in shares]
    return logits, truth


def test_ece_is_the_weighted_gap_of_each_bin():
    values = np.array([[0.9, 0.1, 0], [0.9, 0.1, 0], [0.6, 0.4, 0], [0.62, 0.3, 0.08]])
    scores = calibration_scores(values, ["a", "b", "a", "a"], LABELS, bins=10)
    # (0.8, 0.9]: confidence 0.9, accuracy 0.5; (0.5, 0.6]: 0.6, 1; (0.6, 0.7]: 0.62, 1
    assert scores.ece.point == pytest.approx(2 / 4 * 0.4 + 1 / 4 * 0.4 + 1 / 4 * 0.38)
    assert scores.ece.point == expected_calibration_error(values, ["a", "b", "a", "a"], LABELS, bins=10)
    filled = {(round(b.low, 1), b.clips, b.accuracy) for b in scores.bins if b.clips}
    assert filled == {(0.8, 2, 0.5), (0.5, 1, 1.0), (0.6, 1, 1.0)}


def test_brier_and_log_loss_agree_with_their_definitions(drawn):
    logits, truth = drawn
    values = softmax(logits, axis=1)
    scores = calibration_scores(values, truth, LABELS)
    assert scores.nll.point == pytest.approx(log_loss(truth, values, labels=list(LABELS)))
    hits = np.array([[name == label for label in LABELS] for name in truth])
    assert scores.brier.point == pytest.approx(np.mean(np.sum((values - hits) ** 2, axis=1)))
    assert scores.nll.low < scores.nll.point < scores.nll.high


def test_a_probability_of_zero_costs_much_but_not_everything():
    scores = calibration_scores([[0.0, 1.0, 0.0]], ["a"], LABELS)
    assert 20 < scores.nll.point < 40


def test_the_temperature_is_found_again(drawn):
    logits, truth = drawn
    found = fit_calibration(logits[:1500], truth[:1500], LABELS)
    assert found.temperature == pytest.approx(2.5, rel=0.1) and found.bias == ()
    before = expected_calibration_error(softmax(logits[1500:], axis=1), truth[1500:], LABELS)
    after = expected_calibration_error(found.probabilities(logits[1500:]), truth[1500:], LABELS)
    assert after < 0.04 < before


def test_log_likelihoods_and_logits_are_calibrated_alike(drawn):
    logits, _ = drawn
    hot = Calibration(1.7, (0.1, -0.2, 0.1))
    np.testing.assert_allclose(hot.probabilities(logits), hot.probabilities(log_softmax(logits, axis=1)))


def test_a_bias_is_found_and_a_label_without_clips_stays_possible(drawn):
    logits, truth = drawn
    tilted = logits - np.array([3.0, 0.0, 0.0])
    found = fit_calibration(tilted, truth, LABELS, bias=True)
    assert found.bias[0] - found.bias[1] == pytest.approx(3.0 / 2.5, abs=0.2)
    assert sum(found.bias) == pytest.approx(0, abs=1e-9)
    few = fit_calibration(np.zeros((4, 3)), ["a", "a", "b", "b"], LABELS, bias=True)
    assert few.probabilities(np.zeros((1, 3)))[0, 2] > 0.05


def test_clips_that_are_all_right_do_not_freeze_the_temperature():
    scores = np.tile([2.0, 0.0, 0.0], (5, 1))
    assert 0.04 < fit_calibration(scores, ["a"] * 5, LABELS).temperature < 0.5


def test_risk_falls_where_confidence_tells_right_from_wrong():
    curve = risk_coverage([0.9, 0.8, 0.7, 0.6], [False, False, True, True])
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert curve.aurc.point == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    worst = risk_coverage([0.6, 0.7, 0.8, 0.9], [False, False, True, True])
    assert worst.aurc.point > curve.aurc.point


def test_equal_confidences_are_answered_together():
    curve = risk_coverage([0.5, 0.9, 0.5, 0.5], [True, False, False, False])
    assert curve.coverage.tolist() == [0.25, 1.0] and curve.threshold.tolist() == [0.9, 0.5]
    blind = risk_coverage([0.5] * 4, [True, False, False, False])
    assert blind.aurc.point == 0.25


def test_risk_resamples_speakers():
    rng = np.random.default_rng(1)
    confidence, wrong = rng.random(60), rng.random(60) < 0.4
    apart = risk_coverage(confidence, wrong)
    wide = risk_coverage(confidence, wrong, ["a"] * 30 + ["b"] * 30)
    assert apart.aurc.clusters == 60 and wide.aurc.clusters == 2
    assert apart.aurc.low < apart.aurc.point < apart.aurc.high


def test_lengths_are_checked():
    with pytest.raises(ConfigError, match=r"\(1, 3\)"):
        fit_calibration(np.zeros((1, 3)), ["a", "b"], LABELS)
    with pytest.raises(ConfigError, match="one of each"):
        risk_coverage([0.1], [True, False])


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(broken):
    scores = np.array([[0.0, -1.0], [broken, -2.0], [-3.0, -1.0]])
    with pytest.raises(ConfigError, match="1 of 3 clips"):
        fit_calibration(scores, ["happy", "sad", "sad"], ["happy", "sad"])


def test_nan_probabilities_are_refused():
    with pytest.raises(ConfigError, match="1 of 2 clips"):
        calibration_scores([[0.5, 0.5], [np.nan, np.nan]], ["happy", "sad"], ["happy", "sad"])
