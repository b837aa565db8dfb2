"""Scores equal scikit-learn's, and an answer without a label is wrong, never repaired."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from emo.errors import ConfigError
from emo.evaluation.calibration import expected_calibration_error
from emo.evaluation.metrics import classification_scores, majority_scores

GOLDEN = Path(__file__).parents[2] / "../shared/golden/mer2023_metric/mer2023.json"
LABELS = ("neutral", "angry", "happy", "sad")
PAIRS = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from((*LABELS, None))), min_size=1, max_size=60
)


@settings(deadline=None)
@given(PAIRS)
def test_scores_are_those_of_scikit_learn_with_invalid_answers_as_a_class_of_their_own(pairs):
    truth, predicted = zip(*pairs, strict=True)
    scores = classification_scores(truth, predicted, LABELS)
    named = ["?" if label is None else label for label in predicted]
    occurring = sorted(set(truth))
    weighted = f1_score(truth, named, labels=list(LABELS), average="weighted", zero_division=0)
    uar = recall_score(truth, named, labels=occurring, average="macro", zero_division=0)
    assert scores.weighted_f1 == pytest.approx(weighted, abs=1e-12)
    assert scores.uar == pytest.approx(uar, abs=1e-12)
    assert scores.war == pytest.approx(accuracy_score(truth, named), abs=1e-12)
    everything = confusion_matrix(truth, named, labels=[*LABELS, "?"])
    assert np.array_equal(scores.confusion, everything[:-1, :-1])
    assert np.array_equal(scores.invalid, everything[:-1, -1])
    assert scores.invalid_rate == predicted.count(None) / len(truth)
    json.dumps(scores.to_json(), allow_nan=False)


def test_an_invalid_answer_counts_as_wrong_even_where_neutral_is_true():
    scores = classification_scores(["neutral", "neutral"], [None, "neutral"], LABELS)
    assert scores.war == 0.5
    assert scores.per_class[0].recall == 0.5
    assert scores.invalid_rate == 0.5


@pytest.mark.skipif(not GOLDEN.exists(), reason="the recorded MER2023 predictions are not on this machine")
def test_published_mer2023_predictions_give_the_published_weighted_f1():
    recorded = json.loads(GOLDEN.read_text())
    labels = recorded["label_order_rows_and_columns"]
    scores = classification_scores(recorded["labels"], recorded["predictions"], labels)
    assert scores.weighted_f1 == pytest.approx(0.9035772132511264, abs=1e-12)
    assert scores.confusion.tolist() == recorded["confusion_matrix"]
    assert scores.n == 834


def test_published_mer2023_matrix_gives_the_published_weighted_f1():
    # Confusion of the official Emotion-LLaMA run on MER2023-SEMI: checkpoints/save_checkpoint/stage2/result.
    labels = ("angry", "happy", "neutral", "sad", "surprise", "worried")
    matrix = [
        [179, 1, 2, 1, 0, 0],
        [2, 152, 7, 4, 3, 1],
        [10, 10, 134, 6, 2, 4],
        [2, 2, 1, 250, 0, 2],
        [1, 0, 3, 1, 6, 3],
        [4, 1, 3, 2, 1, 34],
    ]
    pairs = [
        (labels[row], labels[column])
        for row, counts in enumerate(matrix)
        for column, count in enumerate(counts)
        for _ in range(count)
    ]
    truth, predicted = zip(*pairs, strict=True)
    assert classification_scores(truth, predicted, labels).weighted_f1 == pytest.approx(
        0.9035772132511264, abs=1e-12
    )


def test_labels_outside_the_set_are_refused_by_name():
    with pytest.raises(ConfigError, match="bored"):
        classification_scores(["neutral"], ["bored"], LABELS)


def test_no_clips_and_uneven_lengths_are_refused():
    with pytest.raises(ConfigError, match="0 true labels"):
        classification_scores([], [], LABELS)
    with pytest.raises(ConfigError, match="2 true labels, 1 predictions"):
        classification_scores(["sad", "sad"], ["sad"], LABELS)


def test_majority_answers_the_commonest_training_label_not_the_commonest_test_label():
    scores = majority_scores(["sad", "sad", "happy"], ["happy", "happy", "sad"], LABELS)
    assert scores.confusion[:, LABELS.index("sad")].sum() == 3
    assert scores.war == pytest.approx(1 / 3)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    sure = np.array([[0.95, 0.05], [0.95, 0.05], [0.95, 0.05], [0.95, 0.05]])
    labels = ("a", "b")
    assert expected_calibration_error(sure, ["a"] * 4, labels) == pytest.approx(0.05)
    assert expected_calibration_error(sure, ["a", "a", "b", "b"], labels) == pytest.approx(0.45)
    with pytest.raises(ConfigError, match="4 clips"):
        expected_calibration_error(sure[:3], ["a"] * 4, labels)
