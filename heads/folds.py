"""Cross-validation by speaker: every clip is answered once, by a head that never saw its speaker.

Each fold is tested on some speakers, chosen on some of the others and trained on the rest. Clips that a
manifest keeps for testing take no part. Knows clips and feature spaces, nothing of manifests.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emo.clip import Clip
from emo.config.heads import HeadConfig
from emo.errors import ConfigError
from emo.evaluation.scored import Scored
from emo.evaluation.tables import Result, markdown_table, result_rows
from emo.heads.loaded import load_splits
from emo.heads.loader import FeatureSpace
from emo.heads.ratings import NO_RATINGS, Ratings
from emo.heads.runs import HeadRun, run_loaded, scored_clips, write_run
from emo.heads.splits import Splits, cut, speaker_of, split_clips
from emo.heads.trained import EpochMetrics
from emo.rights import DataRights

SCORES = {"weighted_f1": "weighted F1", "uar": "UAR", "war": "WAR"}


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldedRun:
    """The runs of all folds, and the score of all clips together, each answered out of its fold.

    `left_out` clips are kept for testing by the manifest.
    """

    runs: tuple[HeadRun, ...]
    pooled: Scored
    left_out: int

    def mean_and_deviation(self, score: str) -> tuple[float, float]:
        """The mean of a score over the folds and its standard deviation (that of a sample)."""
        values = [float(getattr(run.result.scores, score)) for run in self.runs]
        return statistics.fmean(values), statistics.stdev(values)

    @property
    def predicted(self) -> dict[str, str]:
        """The answer to each clip, by the head of the fold that it was tested in."""
        return {clip_id: label for run in self.runs for clip_id, label in run.predicted.items()}

    def to_json(self) -> dict[str, object]:
        """Plain JSON of the folds."""
        figures = {score: self.mean_and_deviation(score) for score in SCORES}
        return {
            "head": self.runs[0].trained.config.head,
            "folds": len(self.runs),
            "over_folds": {score: {"mean": mean, "sd": sd} for score, (mean, sd) in figures.items()},
            "out_of_fold": self.pooled.to_json(),
            "left_out": self.left_out,
            "each": [run.to_json() for run in self.runs],
            "seed": self.runs[0].trained.config.seed,
        }

    def markdown(self) -> str:
        """A line a fold, and one of all clips out of fold; then mean and deviation."""
        lines = [
            Result(f"fold {number}", run.result.scores, run.result.interval)
            for number, run in enumerate(self.runs, start=1)
        ]
        lines.append(Result("all, out of fold", self.pooled.scores, self.pooled.interval))
        headers = ("fold", "n", "weighted F1", "95 % interval", "UAR", "WAR", "invalid")
        figures = {score: self.mean_and_deviation(score) for score in SCORES}
        said = ", ".join(f"{SCORES[score]} {mean:.3f} (sd {sd:.3f})" for score, (mean, sd) in figures.items())
        return markdown_table(headers, result_rows(lines)) + f"\nMean over {len(self.runs)} folds: {said}.\n"


def split_folds(clips: Sequence[Clip], folds: int, config: HeadConfig) -> list[Splits]:
    """Splits of each fold; no speaker and no group is on two sides of its test clips.

    Classes are balanced as well as that allows. A clip without a speaker counts as a speaker of its own.
    ConfigError where too few of them are left apart.
    """
    some = folded_clips(clips)
    units = units_of(some)
    count = len(set(units))
    if folds < 2 or count < folds or count - math.ceil(count / folds) < 2:
        raise ConfigError(
            f"{len(set(map(speaker_of, some)))} speakers, {count} of them apart from each other's groups, "
            f"do not make {folds} folds with two left to train and choose on. "
            "Ask for another number of folds, or name more speakers."
        )
    found = []
    for kept, tested in cut(some, units, folds, config.seed):
        rest = [replace(clip, split="train") for clip in kept]
        inner = split_clips(rest, val_share=config.val_share, seed=config.seed)
        test = tuple(replace(clip, split="test") for clip in tested)
        found.append(Splits(inner.train, inner.val, test, held_out=True))
    return found


def units_of(clips: Sequence[Clip]) -> list[str]:
    """The unit of each clip: clips with a speaker or a group in common are of one, along the whole chain."""
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def top(node: tuple[str, str]) -> tuple[str, str]:
        while above.get(node, node) != node:
            node = above[node]
        return node

    for clip in clips:
        if clip.group:
            above[top(("group", clip.group))] = top(("speaker", speaker_of(clip)))
    return ["/".join(top(("speaker", speaker_of(clip)))) for clip in clips]


def folded_clips(clips: Sequence[Clip]) -> list[Clip]:
    """The labelled clips that folds are made of: all but those kept for testing."""
    whole = split_clips(clips, val_share=0.5, seed=0)
    kept = {clip.clip_id for clip in (*whole.train, *whole.val)}
    return [clip for clip in clips if clip.clip_id in kept]


def run_folds(
    clips: Sequence[Clip],
    spaces: Mapping[str, FeatureSpace],
    labels: Sequence[str],
    config: HeadConfig,
    folds: int,
    *,
    ratings: Ratings = NO_RATINGS,
    augmented: Mapping[str, Sequence[FeatureSpace]] | None = None,
    on_epoch: Callable[[int, EpochMetrics], None] | None = None,
) -> FoldedRun:
    """Train and test on each fold; `on_epoch` is told the fold, from 0. Raises what `run_head` raises."""
    runs = []
    for number, splits in enumerate(split_folds(clips, folds, config)):
        loaded = load_splits(splits, spaces, config, augmented or {})
        report = None if on_epoch is None else _of_fold(on_epoch, number)
        runs.append(run_loaded(loaded, labels, config, ratings=ratings, on_epoch=report))
    tested = [clip for run in runs for clip in run.splits.test]
    predicted = [label for run in runs for label in run.predicted.values()]
    labelled = sum(1 for clip in clips if clip.label)
    return FoldedRun(
        runs=tuple(runs),
        pooled=scored_clips(tested, predicted, labels, config.seed),
        left_out=labelled - len(tested),
    )


def write_folds(folded: FoldedRun, folder: Path, data: Sequence[DataRights] = ()) -> None:
    """Write the run of each fold into `fold1` and so on, `folds.json` and `folds.md` beside them."""
    for number, run in enumerate(folded.runs, start=1):
        write_run(run, folder / f"fold{number}", data)
    payload = folded.to_json() | {"predicted": folded.predicted}
    (folder / "folds.json").write_text(
        json.dumps(payload, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "folds.md").write_text(folded.markdown(), encoding="utf-8")


def _of_fold(report: Callable[[int, EpochMetrics], None], number: int) -> Callable[[EpochMetrics], None]:
    return lambda metrics: report(number, metrics)
