"""The combined score of MER2023-MULTI and MER2023-NOISE: weighted F1 - 0.25 MSE of the valence.

Source: MER 2023 (Lian et al. 2023, arXiv:2304.08981). Knows labels and numbers, never models.

Axes: N clips, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import mean_squared_error

from emo.evaluation.continuous import UNREAD, filled, finite_pair, unread
from emo.evaluation.intervals import SCORES, Floats, confusion_rows
from emo.evaluation.metrics import classification_scores
from emo.evaluation.summed import Summed, share

VALENCE_WEIGHT = 0.25


def labels_only(truth: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> Summed:
    """Weighted F1, UAR and WAR; ConfigError as `classification_scores`."""
    scores = classification_scores(truth, predicted, labels)
    known = scores.to_json()
    return Summed(
        rows=confusion_rows(truth, predicted, labels),
        statistics=dict(SCORES),
        invalid=unread(predicted),
        points={"weighted_f1": scores.weighted_f1, "uar": scores.uar, "war": scores.war},
        details={name: known[name] for name in ("labels", "confusion", "invalid", "per_class")},
    )


def mer2023(
    truth: Sequence[str],
    predicted: Sequence[str | None],
    labels: Sequence[str],
    valence: Sequence[float],
    predicted_valence: Sequence[float | None],
) -> Summed:
    """The combined score, then its two parts. A valence that is None counts as 0, the neutral value.

    An answer is invalid where its label or its valence is. ConfigError as `classification_scores`.
    """
    named = labels_only(truth, predicted, labels)
    x, y = finite_pair(valence, filled(predicted_valence))
    shape = named.rows.shape[1:]
    counts = int(np.prod(shape))

    def weighted_f1(sums: Floats) -> Floats:
        return SCORES["weighted_f1"](sums[..., :counts].reshape(*sums.shape[:-1], *shape))

    def mse(sums: Floats) -> Floats:
        return share(sums[..., counts], sums[..., counts + 1])

    def combined(sums: Floats) -> Floats:
        return np.asarray(weighted_f1(sums) - VALENCE_WEIGHT * mse(sums))

    f1, error = named.points["weighted_f1"], float(mean_squared_error(x, y))
    return Summed(
        rows=np.column_stack([named.rows.reshape(len(x), counts), (x - y) ** 2, np.ones(len(x))]),
        statistics={"combined": combined, "weighted_f1": weighted_f1, "mse": mse},
        invalid=named.invalid | unread(predicted_valence),
        points={"combined": f1 - VALENCE_WEIGHT * error, "weighted_f1": f1, "mse": error},
        details=named.details,
        notes=(UNREAD,) if unread(predicted_valence).any() else (),
    )
