"""What a linear reader makes of the tiny features: six classes of a rendered corpus, speakers apart.

The corpus is planned as `emo corpus render` plans it, with classes, weak and contradicting modalities;
faces are cut by jittered true boxes instead of a detector's, and JPEG stands in for h264. Uses the
encoders as everyone does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emo.config.corpus import CorpusConfig
from emo.corpora.rendered.cast import Role, cast_corpus
from emo.corpora.rendered.planning import plan_clip
from emo.corpora.rendered.voice import synthesise
from emo.extractors import mae, make_encoder
from emo.pipeline.tiny_people import film_faces, moments
from emo.seeds import generator
from emo.views import AudioView, FrameView, View, ViewData

ENCODERS = ("hubert", "mae", "videomae", "eva")
STRENGTHS = (0.003, 0.01, 0.03, 0.1)  # inverse regularisation of the linear reader, chosen on validation
PROBED = CorpusConfig(clips=600, seed=1, train=0.4, val=0.2, test=0.4)

Features = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Weighted F1 of one linear reader on validation and on test speakers."""

    val: float
    test: float


def probe(config: CorpusConfig = PROBED, processes: int = 1) -> dict[str, Reading]:
    """A reading for every encoder and for all of them together (`fused`)."""
    roles = cast_corpus(config)
    parts = Parallel(n_jobs=processes)(
        delayed(_features)(config, roles[at : at + 20]) for at in range(0, len(roles), 20)
    )
    features = {name: np.concatenate([part[name] for part in parts]) for name in ENCODERS}
    return readings(features, [role.label for role in roles], [role.split for role in roles])


def readings(features: Features, labels: Sequence[str], splits: Sequence[str]) -> dict[str, Reading]:
    """Logistic regression on each feature (N, D) and on all of them side by side."""
    found = {name: _read(values, labels, splits) for name, values in features.items()}
    return found | {"fused": _read(np.concatenate(list(features.values()), axis=1), labels, splits)}


def _read(values: NDArray[np.float32], labels: Sequence[str], splits: Sequence[str]) -> Reading:
    rows = {split: np.flatnonzero(np.array(splits) == split) for split in ("train", "val", "test")}
    truth = np.array(labels)
    best = Reading(val=-1.0, test=-1.0)
    for strength in STRENGTHS:
        reader = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
        reader.fit(values[rows["train"]], truth[rows["train"]])
        val, test = (
            float(f1_score(truth[rows[split]], reader.predict(values[rows[split]]), average="weighted"))
            for split in ("val", "test")
        )
        best = max(best, Reading(val=val, test=test), key=lambda reading: reading.val)
    return best


def _features(config: CorpusConfig, roles: Sequence[Role]) -> dict[str, NDArray[np.float32]]:
    """(clips, D) of each encoder: what is stored as utterance, and EVA's class token."""
    views = [_views(config, role) for role in roles]
    encoders = {name: make_encoder(name, preset="tiny", device="cpu") for name in ENCODERS}
    encoded = {name: encoder.encode(views) for name, encoder in encoders.items()}
    return {
        name: np.stack([arrays["tokens"][0] if name == "eva" else arrays["utterance"] for arrays in clips])
        for name, clips in encoded.items()
    }


def _views(config: CorpusConfig, role: Role) -> dict[View, ViewData]:
    plan, rng = plan_clip(config, role), generator("probe", config.seed, role.number)
    act, margin, size = plan.performance, mae.TINY_FACES.margin, mae.TINY_FACES.size
    times = np.append(moments(act), act.peak)
    shot = film_faces(plan.identity, act, rng, times, margin)
    crops = np.stack(
        [np.asarray(picture.crop(_whole(shot.box)).resize((size, size))) for picture in shot.pictures]
    )
    wave = synthesise(plan.identity, act.tone, act.duration, rng, act.syllables)
    return {
        AudioView(): ViewData(array=wave, times=np.zeros(1)),
        mae.TINY_FACES: ViewData(array=crops[:-1], times=times[:-1]),
        FrameView("peak"): ViewData(array=np.asarray(shot.pictures[-1]), times=times[-1:]),
    }


def _whole(box: tuple[float, ...]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(edge) for edge in box)
    return left, top, right, bottom
