"""One run of a head over labelled clips: split, load, train, score, and what stands beside the score.

Knows clips and feature spaces, nothing of manifests, media or encoders.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from emo.clip import Clip
from emo.config.heads import HeadConfig
from emo.evaluation.calibration import expected_calibration_error
from emo.evaluation.figures import confusion_figure, curves_figure, save_figure
from emo.evaluation.metrics import Scores, majority_scores
from emo.evaluation.scored import Scored, score
from emo.evaluation.tables import Result, results_markdown
from emo.heads.batches import FeatureBatch, shuffled
from emo.heads.loader import FeatureSpace, load_features
from emo.heads.splits import Splits, split_clips
from emo.heads.trained import EpochMetrics, TrainedHead
from emo.heads.training import train_head
from emo.run_clips import write_run_clips


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadRun:
    """A trained head and its scores on `scored_split`: test, or val where the clips have no test split.

    `alone` are heads trained on one feature each and `shuffled` one trained on features that were shuffled
    between clips; both are empty where no controls were asked for.
    `augmented` names, by feature, the augmented views that training drew from beside the plain one.
    `calibration_error` is that of the head's probabilities. `featureless` clips had no feature at all.
    """

    trained: TrainedHead
    splits: Splits
    scored_split: str
    predicted: Mapping[str, str]
    result: Scored
    majority: Scores
    calibration_error: float
    featureless: int
    alone: Mapping[str, Scored] = field(default_factory=dict)
    shuffled: Scored | None = None
    augmented: Mapping[str, Sequence[str]] = field(default_factory=dict)

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
    augmented: Mapping[str, Sequence[FeatureSpace]] = MappingProxyType({}),
    controls: bool = False,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
) -> HeadRun:
    """Train on the clips' train split, choose on val, score once on test.

    `spaces` is by feature name; `augmented` gives further spaces of a feature that training samples and
    nothing else reads; the controls are trained without them. Raises what `split_clips`, `load_features`
    and `train_head` raise.
    """
    splits = split_clips(clips, val_share=config.val_share, seed=config.seed)
    scored_split, scored = ("test", splits.test) if splits.test else ("val", splits.val)
    arrays = arrays_for(spaces, config.arrays)
    batches = [
        load_features(spaces, [clip.clip_id for clip in part], arrays)
        for part in (splits.train, splits.val, scored)
    ]
    versions = _augmented(augmented, splits.train, arrays)
    trained = _train(batches, splits, labels, config, on_epoch, versions)
    truth = _labels(scored)
    predicted = trained.predict(batches[2])
    alone, control = {}, None
    if controls:
        alone = {name: _alone(name, batches, splits, scored, labels, config) for name in spaces}
        control = _shuffled(batches, splits, scored, labels, config)
    return HeadRun(
        trained=trained,
        splits=splits,
        scored_split=scored_split,
        predicted={clip.clip_id: label for clip, label in zip(scored, predicted, strict=True)},
        result=_scored(scored, predicted, labels, config.seed),
        majority=majority_scores(_labels(splits.train), truth, labels),
        calibration_error=expected_calibration_error(trained.probabilities(batches[2]), truth, labels),
        featureless=sum(_featureless(batch) for batch in (batches if splits.test else batches[:2])),
        alone=alone,
        shuffled=control,
        augmented={name: [space.spec.preset for space in more] for name, more in augmented.items()},
    )


def arrays_for(spaces: Mapping[str, FeatureSpace], arrays: Mapping[str, str]) -> dict[str, str]:
    """What is read of each feature: by its name, else by its encoder's name, else "utterance"."""
    return {
        name: arrays.get(name) or arrays.get(space.spec.encoder, "utterance")
        for name, space in spaces.items()
    }


def write_run(run: HeadRun, folder: Path) -> None:
    """Write the head, `metrics.jsonl`, `scores.json`, `clips.json`, `results.md` and two figures."""
    run.trained.save(folder)
    parts = {"train": run.splits.train, "val": run.splits.val, "test": run.splits.test}
    write_run_clips(folder, {name: [clip.clip_id for clip in part] for name, part in parts.items()})
    lines = [json.dumps(asdict(metrics)) for metrics in run.trained.history]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    payload = run.to_json() | {"predicted": dict(run.predicted)}
    (folder / "scores.json").write_text(
        json.dumps(payload, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "results.md").write_text(results_markdown(run.results()), encoding="utf-8")
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


def _labels(clips: Sequence[Clip]) -> list[str]:
    return [clip.label for clip in clips if clip.label is not None]


def _featureless(batch: FeatureBatch) -> int:
    present = np.stack([mask.numpy() for mask in batch.masks.values()])
    return int((~present.any(axis=0)).sum())


def _train(
    batches: Sequence[FeatureBatch],
    splits: Splits,
    labels: Sequence[str],
    config: HeadConfig,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
    augmented: Sequence[FeatureBatch] = (),
) -> TrainedHead:
    return train_head(
        batches[0],
        _labels(splits.train),
        batches[1],
        _labels(splits.val),
        labels,
        config,
        augmented=augmented,
        on_epoch=on_epoch,
    )


def _augmented(
    spaces: Mapping[str, Sequence[FeatureSpace]], clips: Sequence[Clip], arrays: Mapping[str, str]
) -> list[FeatureBatch]:
    """One batch of the training clips for each augmented space; a clip that it lacks is masked there."""
    ids = [clip.clip_id for clip in clips]
    return [
        load_features({name: space}, ids, arrays, missing_ok=True)
        for name, more in spaces.items()
        for space in more
    ]


def _scored(clips: Sequence[Clip], predicted: Sequence[str], labels: Sequence[str], seed: int) -> Scored:
    return score(_labels(clips), predicted, labels, [clip.speaker for clip in clips], seed=seed)


def _alone(
    name: str,
    batches: Sequence[FeatureBatch],
    splits: Splits,
    scored: Sequence[Clip],
    labels: Sequence[str],
    config: HeadConfig,
) -> Scored:
    one = [batch.only([name]) for batch in batches]
    return _scored(scored, _train(one, splits, labels, config).predict(one[2]), labels, config.seed)


def _shuffled(
    batches: Sequence[FeatureBatch],
    splits: Splits,
    scored: Sequence[Clip],
    labels: Sequence[str],
    config: HeadConfig,
) -> Scored:
    """Shuffled in every split, so that anything above chance would be a leak of the pipeline itself."""
    rng = np.random.default_rng(config.seed)
    mixed = [shuffled(batch, rng) for batch in batches]
    return _scored(scored, _train(mixed, splits, labels, config).predict(mixed[2]), labels, config.seed)
