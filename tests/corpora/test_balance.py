"""The planted parameters are balanced: neither face nor voice is enough, and together they are."""

from dataclasses import astuple

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emo.config.corpus import CorpusConfig
from emo.corpora.rendered.cast import cast_corpus
from emo.corpora.rendered.planning import plan_clip
from emo.corpora.rendered.units import EXPRESSIVE


@pytest.fixture(scope="module")
def scores():
    """Weighted F1 on the test speakers of a linear probe on what was planted, by modality."""
    config = CorpusConfig(clips=960, seed=1)
    clips = [plan_clip(config, role) for role in cast_corpus(config)]
    labels = np.array([clip.role.label for clip in clips])
    train = np.array([clip.role.split == "train" for clip in clips])
    test = np.array([clip.role.split == "test" for clip in clips])
    face = np.array([strongest(clip.performance.movements) for clip in clips])
    voice = np.array([astuple(clip.performance.tone) for clip in clips])
    found = {}
    for name, values in {"face": face, "voice": voice, "both": np.hstack([face, voice])}.items():
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=2000))
        answers = probe.fit(values[train], labels[train]).predict(values[test])
        found[name] = f1_score(labels[test], answers, average="weighted")
    return found


def strongest(movements):
    return [max((m.intensity for m in movements if m.unit == unit), default=0.0) for unit in EXPRESSIVE]


def test_neither_modality_is_enough(scores):
    assert 0.62 < scores["face"] < 0.80
    assert 0.58 < scores["voice"] < 0.76


def test_both_together_clearly_win(scores):
    assert scores["both"] > 0.82
    assert scores["both"] > max(scores["face"], scores["voice"]) + 0.10
