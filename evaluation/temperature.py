"""Temperature scaling: scores of labels to probabilities that mean what they say.

Fitted on validation clips; which clips those are, and where the figures are stored, is not known here.
Source: Guo et al. 2017, arXiv:1706.04599, section 4.2 (temperature; the bias is that of its vector scaling).

Axes: N clips, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from emo.errors import ConfigError
from emo.evaluation.intervals import Floats
from emo.evaluation.metrics import label_codes

COLDEST, HOTTEST = 0.05, 20.0  # a temperature at either end was not determined by the clips


@dataclass(frozen=True, slots=True)
class Calibration:
    """probabilities = softmax(scores / temperature + bias); `bias` is by label, empty where there is none."""

    temperature: float = 1.0
    bias: tuple[float, ...] = ()

    def probabilities(self, scores: ArrayLike) -> Floats:
        """(N, K) of log-likelihoods or logits (N, K); rows sum to 1."""
        values = np.asarray(scores, dtype=np.float64) / self.temperature
        return np.asarray(softmax(values + np.array(self.bias) if self.bias else values, axis=-1))


def fit_calibration(
    scores: ArrayLike, truth: Sequence[str], labels: Sequence[str], *, bias: bool = False
) -> Calibration:
    """The temperature that makes `truth` most probable, and with `bias` one figure a label as well.

    The biases sum to 0 and carry a standard normal prior, so that a label without clips is not ruled out.
    ConfigError where lengths or labels disagree, or a score is no finite number.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(truth), len(labels)):
        raise ConfigError(f"scores {values.shape} for {len(truth)} clips and {len(labels)} labels.")
    if unsound := int((~np.isfinite(values)).any(axis=1).sum()):
        raise ConfigError(
            f"{unsound} of {len(values)} clips have scores that are not finite. Try --dtype float32."
        )
    rows = label_codes(truth, truth, labels)[0]

    def loss(parameters: Floats) -> float:
        shifted = values * np.exp(-parameters[0])
        likely = log_softmax(shifted + parameters[1:] if bias else shifted, axis=1)[
            np.arange(len(rows)), rows
        ]
        return float((0.5 * (parameters[1:] ** 2).sum() - likely.sum()) / len(rows))

    free = len(labels) if bias else 0
    found = minimize(
        loss,
        np.zeros(1 + free),
        method="L-BFGS-B",
        bounds=[(np.log(COLDEST), np.log(HOTTEST)), *[(None, None)] * free],
    )
    offsets = found.x[1:] - found.x[1:].mean() if bias else found.x[1:]
    return Calibration(float(np.exp(found.x[0])), tuple(float(value) for value in offsets))
