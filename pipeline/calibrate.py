"""Fits the calibration of a trained system on its validation clips, from cached features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emo.clip import Clip
from emo.errors import ConfigError
from emo.evaluation.calibration import CalibrationScores, calibration_scores
from emo.evaluation.temperature import Calibration, fit_calibration
from emo.heads.loader import FeatureSpace
from emo.pipeline.systems import System, batches

UNCHANGED = Calibration()


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """A calibration with what it changed on the clips it was fitted on."""

    calibration: Calibration
    before: CalibrationScores
    after: CalibrationScores

    def to_json(self) -> dict[str, object]:
        """What is stored beside the figures themselves."""
        return {
            "split": "validation",
            "n": self.before.n,
            "nll": [self.before.nll.point, self.after.nll.point],
            "ece": [self.before.ece.point, self.after.ece.point],
            "brier": [self.before.brier.point, self.after.brier.point],
        }


def calibrate(
    system: System,
    clips: Sequence[Clip],
    spaces: Mapping[str, FeatureSpace],
    *,
    bias: bool = False,
    seed: int = 0,
) -> Fitted:
    """Fit on those of `clips` that the training of `system` held out; `bias` as in `fit_calibration`.

    ConfigError where there are none.
    """
    held_out = [clip for clip in system.validation(clips, spaces) if clip.label in system.labels]
    if not held_out:
        raise ConfigError(
            f"none of {len(clips)} clips is a validation clip with one of the labels "
            f"{', '.join(system.labels)}. Give the manifest the model was trained on."
        )
    scores = np.concatenate([system.scores(part, batch) for part, batch in batches(system, held_out, spaces)])
    truth = [str(clip.label) for clip in held_out]
    speakers = [clip.speaker for clip in held_out]
    found = fit_calibration(scores, truth, system.labels, bias=bias)
    before, after = (
        calibration_scores(each.probabilities(scores), truth, system.labels, speakers, seed=seed)
        for each in (UNCHANGED, found)
    )
    return Fitted(calibration=found, before=before, after=after)
