"""One run of a head over labelled clips: split, load, train, score, and what stands beside the score.

Knows clips and feature spaces, nothing of manifests, media or encoders.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from emo.clip import Clip
from emo.config.heads import HeadConfig
from emo.evaluation.calibration import expected_calibration_error
from emo.evaluation.figures import confusion_figure, curves_figure, save_figure
from emo.evaluation.mer2023 import mer2023
from emo.evaluation.metrics import Scores, majority_scores
from emo.evaluation.scored import Scored, score
from emo.evaluation.summed import Measured, measured
from emo.evaluation.tables import Result, results_markdown
from emo.heads.batches import FeatureBatch, shuffled
from emo.heads.card import head_card
from emo.heads.loaded import Loaded, load
from emo.heads.loader import FeatureSpace
from emo.heads.ranking import RANKED, best_alone
from emo.heads.ratings import NO_RATINGS, Ratings
from emo.heads.splits import Splits
from emo.heads.trained import EpochMetrics, TrainedHead
from emo.heads.training import train_head
from emo.model_card import CARD
from emo.rights import DataRights
from emo.run_clips import write_run_clips


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadRun:
    """A trained head and its scores on `scored_split`: test, or val where the clips have no test split.

    `features` are those that were given. `validation` is the score of the clips that chose the epoch.

    `alone` are heads trained on one feature each and `shuffled` one trained on features that were shuffled
    between clips; both are empty where no controls were asked for.
    `augmented` names, by feature, the augmented views that training drew from beside the plain one.
    `calibration_error` is that of the head's probabilities. `featureless` clips had no feature at all.
    `valence` is the second output by clip id and `combined` MER2023's score of both, where it was trained.
    """

    trained: TrainedHead
    features: tuple[str, ...]
    splits: Splits
    scored_split: str
    predicted: Mapping[str, str]
    result: Scored
    validation: Scored
    majority: Scores
    calibration_error: float
    featureless: int
    alone: Mapping[str, Scored] = field(default_factory=dict)
    shuffled: Scored | None = None
    augmented: Mapping[str, Sequence[str]] = field(default_factory=dict)
    valence: Mapping[str, float] = field(default_factory=dict)
    combined: Measured | None = None

    def results(self) -> list[Result]:
        """Lines of a results table: the head, its controls, and the majority class."""
        name = self.trained.config.head
        lines = [Result(f"{name} ({self.scored_split})", self.result.scores, self.result.interval)]
        lines += [Result(f"{feature} alone", one.scores, one.interval) for feature, one in self.alone.items()]
        if self.shuffled is not None:
            lines.append(Result("features shuffled", self.shuffled.scores, self.shuffled.interval))
        return [*lines, Result("majority class", self.majority)]

    def to_json(self) -> dict[str, object]:
        """Plain JSON of the run."""
        return {
            "head": self.trained.config.head,
            "features": {name: source.spec.fingerprint for name, source in self.trained.sources.items()},
            "clips": {
                "train": len(self.splits.train),
                "val": len(self.splits.val),
                "test": len(self.splits.test),
            },
            "val_held_out": self.splits.held_out,
            "shared_speakers": sorted(self.splits.shared_speakers),
            "featureless": self.featureless,
            "best_epoch": self.trained.best_epoch,
            "epochs": len(self.trained.history),
            "scored_split": self.scored_split,
            "result": self.result.to_json(),
            "validation": self.validation.to_json(),
            "combined": self.combined.to_json() if self.combined else None,
            "calibration_error": self.calibration_error,
            "majority_weighted_f1": self.majority.weighted_f1,
            "alone": {name: one.to_json() for name, one in self.alone.items()},
            "shuffled": self.shuffled.to_json() if self.shuffled else None,
            "augmented": {name: list(views) for name, views in self.augmented.items()},
            "seed": self.trained.config.seed,
            "commit": self.trained.commit,
        }


def run_head(
    clips: Sequence[Clip],
    spaces: Mapping[str, FeatureSpace],
    labels: Sequence[str],
    config: HeadConfig,
    *,
    ratings: Ratings = NO_RATINGS,
    augmented: Mapping[str, Sequence[FeatureSpace]] = MappingProxyType({}),
    controls: bool = False,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
) -> HeadRun:
    """Train on the clips' train split, choose on val, score once on test.

    `spaces` is by feature name; `augmented` gives further spaces of a feature that training samples and
    nothing else reads; the controls are trained without them. Raises what `load` and `train_head` raise.
    """
    loaded = load(clips, spaces, config, augmented)
    return run_loaded(loaded, labels, config, ratings=ratings, controls=controls, on_epoch=on_epoch)


def run_loaded(
    loaded: Loaded,
    labels: Sequence[str],
    config: HeadConfig,
    *,
    ratings: Ratings = NO_RATINGS,
    controls: bool = False,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
) -> HeadRun:
    """As `run_head`, on features that are in memory. Raises what `train_head` raises."""
    training = _Training(loaded, labels, config, ratings)
    trained = training.head(loaded, on_epoch)
    splits, scored = loaded.splits, loaded.scored_clips
    predicted = trained.predict(loaded.scored)
    alone, control = {}, None
    if controls:
        plain = replace(loaded, versions=())
        alone = {name: training.score(plain.only([name])) for name in loaded.train.names}
        control = training.score(_shuffled(plain, config.seed))
    batches = (loaded.train, loaded.val, *([loaded.scored] if splits.test else []))
    return HeadRun(
        trained=trained,
        features=loaded.train.names,
        splits=splits,
        scored_split=loaded.scored_split,
        predicted={clip.clip_id: label for clip, label in zip(scored, predicted, strict=True)},
        result=scored_clips(scored, predicted, labels, config.seed),
        validation=scored_clips(splits.val, trained.predict(loaded.val), labels, config.seed),
        majority=majority_scores(labels_of(splits.train), labels_of(scored), labels),
        calibration_error=expected_calibration_error(
            trained.probabilities(loaded.scored), labels_of(scored), labels
        ),
        featureless=sum(_featureless(batch) for batch in batches),
        alone=alone,
        shuffled=control,
        augmented=loaded.augmented,
        valence=_valence(trained, loaded.scored),
        combined=_combined(scored, predicted, trained, loaded.scored, ratings),
    )


def write_run(run: HeadRun, folder: Path, data: Sequence[DataRights] = ()) -> None:
    """Write the head, `metrics.jsonl`, `scores.json`, `clips.json`, `results.md`, a card and two figures.

    `data` is what the owners of the clips allow; the card repeats it.
    """
    run.trained.save(folder)
    parts = {"train": run.splits.train, "val": run.splits.val, "test": run.splits.test}
    write_run_clips(folder, {name: [clip.clip_id for clip in part] for name, part in parts.items()})
    lines = [json.dumps(asdict(metrics)) for metrics in run.trained.history]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    payload = run.to_json() | {"predicted": dict(run.predicted), "valence": dict(run.valence)}
    (folder / "scores.json").write_text(
        json.dumps(payload, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "results.md").write_text(results_markdown(run.results()), encoding="utf-8")
    card = head_card(run.trained, results_markdown(run.results()), data)
    (folder / CARD).write_text(card, encoding="utf-8")
    title = f"{run.trained.config.head}, {run.scored_split} clips"
    save_figure(confusion_figure(run.result.scores, title), folder / "confusion.png")
    history = run.trained.history
    curves = {
        "training": [(metrics.epoch, metrics.train_loss) for metrics in history],
        "validation": [(metrics.epoch, metrics.val_loss) for metrics in history],
    }
    figure = curves_figure(
        curves, x_label="epoch", y_label="loss", mark_x=run.trained.best_epoch, mark_label="kept"
    )
    save_figure(figure, folder / "loss.png")


def results_in(folder: Path) -> list[str]:
    """Names of the folders of scores that were put into a run's folder, none where there is no run."""
    if not (folder / CARD).exists():
        return []
    return sorted(scores.parent.name for scores in folder.glob("*/scores.json"))


def labels_of(clips: Sequence[Clip]) -> list[str]:
    """The labels of labelled clips, in order."""
    return [clip.label for clip in clips if clip.label is not None]


def scored_clips(clips: Sequence[Clip], predicted: Sequence[str], labels: Sequence[str], seed: int) -> Scored:
    """Answers beside the clips' labels, with an interval over their speakers."""
    return score(labels_of(clips), predicted, labels, [clip.speaker for clip in clips], seed=seed)


@dataclass(frozen=True, slots=True)
class _Training:
    """How every head of a run is trained; `whole` is what the run was given."""

    whole: Loaded
    labels: Sequence[str]
    config: HeadConfig
    ratings: Ratings

    def head(self, loaded: Loaded, on_epoch: Callable[[EpochMetrics], None] | None = None) -> TrainedHead:
        """A head trained on the features of `loaded`, or on the best of them where the head keeps few."""
        train_labels, val_labels = labels_of(loaded.splits.train), labels_of(loaded.splits.val)
        if self.config.head == RANKED:
            loaded = loaded.only(
                best_alone(loaded.train, train_labels, loaded.val, val_labels, self.labels, self.config)
            )
        return train_head(
            loaded.train,
            train_labels,
            loaded.val,
            val_labels,
            self.labels,
            self.config,
            ratings=self.ratings,
            augmented=loaded.versions,
            on_epoch=on_epoch,
        )

    def score(self, loaded: Loaded) -> Scored:
        """The score of a head trained on other features of the same clips."""
        predicted = self.head(loaded).predict(loaded.scored)
        return scored_clips(loaded.scored_clips, predicted, self.labels, self.config.seed)


def _featureless(batch: FeatureBatch) -> int:
    present = np.stack([mask.numpy() for mask in batch.masks.values()])
    return int((~present.any(axis=0)).sum())


def _shuffled(loaded: Loaded, seed: int) -> Loaded:
    """Shuffled in every split, so that anything above chance would be a leak of the pipeline itself."""
    rng = np.random.default_rng(seed)
    train, val, scored = (shuffled(one, rng) for one in (loaded.train, loaded.val, loaded.scored))
    return replace(loaded, train=train, val=val, scored=scored)


def _valence(trained: TrainedHead, batch: FeatureBatch) -> dict[str, float]:
    if not trained.config.valence > 0:
        return {}
    return dict(zip(batch.clip_ids, trained.valences(batch), strict=True))


def _combined(
    clips: Sequence[Clip],
    predicted: Sequence[str],
    trained: TrainedHead,
    batch: FeatureBatch,
    ratings: Ratings,
) -> Measured | None:
    """MER2023's score over the clips whose valence is known; None where there is none."""
    said = _valence(trained, batch)
    known = [row for row, clip in enumerate(clips) if clip.clip_id in ratings.valence]
    if not said or not known:
        return None
    some = [clips[row] for row in known]
    truth = [ratings.valence[clip.clip_id] for clip in some]
    summed = mer2023(
        labels_of(some),
        [predicted[row] for row in known],
        trained.labels,
        truth,
        [said[clip.clip_id] for clip in some],
    )
    return measured(summed, [clip.speaker for clip in some], seed=trained.config.seed)
