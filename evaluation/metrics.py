"""Scores of predicted labels: weighted F1, UAR, WAR, and per class. Knows labels, never models.

An answer that names no label is None: it counts as wrong, and its rate stands beside every score. It is never
repaired into a class.

Axes: N clips, K classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from emo.errors import ConfigError
from emo.labels import what_instead

INVALID = ""  # stands for None where scikit-learn needs a string; no label is empty


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: precision, recall, F1, and how many clips truly are of it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of N predictions.

    `weighted_f1` is the F1 of each class weighted by its support (WAF of the MER challenges), `uar` the mean
    recall over the classes that occur, `war` the accuracy. `confusion[i, j]` (K, K) counts clips of class i
    called j; clips of class i answered with no label are `invalid[i]` (K,).
    """

    weighted_f1: float
    uar: float
    war: float
    per_class: tuple[ClassScore, ...]
    confusion: NDArray[np.int64]
    invalid: NDArray[np.int64]
    labels: tuple[str, ...]
    n: int
    invalid_rate: float

    def to_json(self) -> dict[str, object]:
        """Plain JSON of every field."""
        return {
            "n": self.n,
            "weighted_f1": self.weighted_f1,
            "uar": self.uar,
            "war": self.war,
            "invalid_rate": self.invalid_rate,
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
            "invalid": self.invalid.tolist(),
            "per_class": {
                row.label: {
                    "precision": row.precision,
                    "recall": row.recall,
                    "f1": row.f1,
                    "support": row.support,
                }
                for row in self.per_class
            },
        }


def classification_scores(
    truth: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]
) -> Scores:
    """Scores of `predicted` against `truth`, both of length N; None is an answer without a label.

    ConfigError where there are no clips, lengths differ, or a label is not among `labels`.
    """
    counts = confusion_counts(truth, predicted, labels)
    named = [INVALID if label is None else label for label in predicted]
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, named, labels=list(labels), zero_division=0
    )
    n = len(truth)
    occurs = support > 0
    return Scores(
        weighted_f1=float(np.dot(f1, support) / n),
        uar=float(recall[occurs].mean()),
        war=float(accuracy_score(truth, named)),
        per_class=tuple(
            ClassScore(label, float(precision[k]), float(recall[k]), float(f1[k]), int(support[k]))
            for k, label in enumerate(labels)
        ),
        confusion=counts[:, :-1],
        invalid=counts[:, -1],
        labels=tuple(labels),
        n=n,
        invalid_rate=float(counts[:, -1].sum() / n),
    )


def confusion_counts(
    truth: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]
) -> NDArray[np.int64]:
    """Counts (K, K + 1): true class by answered class; the last column counts answers without a label."""
    rows, columns = label_codes(truth, predicted, labels)
    counts = np.zeros((len(labels), len(labels) + 1), dtype=np.int64)
    np.add.at(counts, (rows, columns), 1)
    return counts


def label_codes(
    truth: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices (N,) of both in `labels`, K for None; ConfigError as `classification_scores`."""
    if not truth or len(truth) != len(predicted):
        raise ConfigError(f"{len(truth)} true labels, {len(predicted)} predictions. Give one of each a clip.")
    codes: dict[str | None, int] = {label: index for index, label in enumerate(labels)}
    codes[None] = len(labels)
    if unknown := sorted({str(label) for label in (*truth, *predicted) if label not in codes}):
        raise ConfigError(
            f"labels {', '.join(unknown)} are not among {', '.join(labels)}. "
            f"{what_instead(unknown, labels)} An answer without a label is None."
        )
    if None in truth:
        raise ConfigError("a clip has no true label. Leave clips without labels out of the evaluation.")
    return (
        np.array([codes[label] for label in truth], dtype=np.int64),
        np.array([codes[label] for label in predicted], dtype=np.int64),
    )


def majority_scores(train_labels: Sequence[str], truth: Sequence[str], labels: Sequence[str]) -> Scores:
    """Scores of answering the commonest training label always; ties go to the first in `labels`."""
    if not train_labels:
        raise ConfigError("no training labels, so no commonest one. Give the labels of the training clips.")
    counts = Counter(train_labels)
    commonest = max(labels, key=lambda label: counts[label])
    return classification_scores(truth, [commonest] * len(truth), labels)
