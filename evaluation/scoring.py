"""Files of answers against a file of truths: scores with intervals, over seeds, by group, and in pairs.

Takes predictions of any system, never models. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo.errors import ConfigError
from emo.evaluation.answers_table import Table, number_of, read_table, text_of
from emo.evaluation.calibration import CalibrationScores, calibration_scores
from emo.evaluation.groups import GroupScores, by_group
from emo.evaluation.intervals import Difference
from emo.evaluation.measures import LABELS as TRUE_LABELS
from emo.evaluation.measures import Settings, measure_named, pair
from emo.evaluation.summed import Measured, OverSeeds, Summed, differences, measured, over_seeds

DATASET = "dataset"
LABELS, PROBABILITIES = "labels", "probabilities"
CLUSTERS = ("speaker", "dialogue", "dialogue_id", "session")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileScores:
    """Scores of one system.

    `runs` has one entry a file; `seeds` is over them where there are several, `against` the differences to
    the other system where one was named; `groups` are of the first run. `datasets` are those that the rows
    of the truth name. `calibration` is that of the first run, where its answers give the probability of
    every label.
    """

    metric: str
    about: str
    files: tuple[Path, ...]
    runs: tuple[Measured, ...]
    seeds: tuple[OverSeeds, ...]
    against: tuple[Difference, ...]
    groups: GroupScores | None
    cluster: str | None
    notes: tuple[str, ...]
    datasets: tuple[str, ...] = ()
    calibration: CalibrationScores | None = None

    def to_json(self) -> dict[str, object]:
        """Everything, the first run's scores on top."""
        return {
            "metric": self.metric,
            "about": self.about,
            "cluster": self.cluster,
            **self.runs[0].to_json(),
            "calibration": self.calibration.to_json() if self.calibration else None,
            "notes": [*self.notes, *self.runs[0].notes],
            "runs": [
                {"file": str(path), **run.to_json()} for path, run in zip(self.files, self.runs, strict=True)
            ],
            "seeds": {
                each.metric: {"mean": each.mean, "std": each.deviation, "runs": each.runs}
                for each in self.seeds
            },
            "against": {
                each.metric: {"difference": each.value, "ci": [each.low, each.high], "p_value": each.p_value}
                for each in self.against
            },
            "groups": self.groups.to_json() if self.groups else None,
        }


def score_files(
    metric: str,
    truth: Path,
    predictions: Sequence[Path],
    *,
    against: Sequence[Path] = (),
    settings: Settings | None = None,
    cluster: str | None = None,
    group: str | None = None,
    group_file: Path | None = None,
    split: str = "all",
    encoding: str = "utf-8",
    seed: int = 0,
) -> FileScores:
    """Scores of `predictions`, runs of one system that differ in their seed, on the clips of `truth`.

    `cluster` is the column of `truth` whose values are resampled, by default the first of CLUSTERS that is
    there. `group` is a column of `truth`, or of `group_file`. `split` keeps the rows of one split.
    ConfigError where files do not fit.
    """
    measure = measure_named(metric)
    given = settings or Settings()
    table = _of_split(read_table(truth, encoding=encoding), split)
    column = cluster_column(table, cluster)
    clusters = cells(table, table, column) if column else None
    first, notes = _summed(metric, table, predictions, given, encoding)
    second, more = _summed(metric, table, against, given, encoding)
    groups = calibration = None
    if metric == LABELS:
        answers = read_table(predictions[0], encoding=encoding)
        calibration = _calibration(table, answers, given.truth_column, clusters, seed)
    if group:
        side = read_table(group_file, encoding=encoding) if group_file else table
        named = cells(table, side, side.column((group,), "groups"))
        groups = by_group(first[0], named, clusters, score=measure.by_group, column=group, seed=seed)
    return FileScores(
        metric=metric,
        about=measure.about,
        files=tuple(predictions),
        runs=tuple(measured(run, clusters, seed=seed) for run in first),
        seeds=over_seeds(first) if len(first) > 1 else (),
        against=differences(first, second, clusters, seed=seed) if second else (),
        groups=groups,
        cluster=column,
        calibration=calibration,
        notes=(*notes, *more),
        datasets=tuple(sorted({name for row in table.rows.values() if (name := text_of(row.get(DATASET)))})),
    )


def _summed(
    metric: str, truth: Table, files: Sequence[Path], settings: Settings, encoding: str
) -> tuple[list[Summed], list[str]]:
    runs, notes = [], []
    for path in files:
        pairs, differing = pair(truth, read_table(path, encoding=encoding), settings)
        runs.append(measure_named(metric).run(pairs))
        notes += [f"{path}: {note}" for note in differing]
    return runs, notes


def _calibration(
    truth: Table, answers: Table, column: str | None, clusters: Sequence[str | None] | None, seed: int
) -> CalibrationScores | None:
    """Calibration of answers that each give a share of 0 to 1 to every one of the labels, the true one among
    them; None where one does not. The true labels are in `column`, by default the first usual one."""
    named = column or next((name for name in TRUE_LABELS if name in truth.columns), "")
    known = [text_of(row.get(named)) for row in truth.rows.values()]
    given = [answers.rows.get(clip, {}).get(PROBABILITIES) for clip in truth.rows]
    shares = [one for one in given if isinstance(one, dict)]
    if not shares or len(shares) < len(given):
        return None
    labels = list(shares[0])
    rows = [[number_of(one.get(label)) for label in labels] for one in shares]
    sound = all(value is not None and 0 <= value <= 1 for row in rows for value in row)
    true = [label for label in known if label in labels]
    if not sound or len(true) < len(known) or any(one.keys() != shares[0].keys() for one in shares):
        return None
    return calibration_scores(np.array(rows, np.float64), true, labels, clusters, seed=seed)


def _of_split(table: Table, split: str) -> Table:
    if split == "all":
        return table
    kept = {clip: row for clip, row in table.rows.items() if text_of(row.get("split")) == split}
    if not kept:
        known = sorted({text_of(row.get("split")) or "" for row in table.rows.values()} - {""})
        raise ConfigError(
            f"{table.path}: no rows in split {split!r}. Splits: {', '.join(known) or 'none'}. "
            "`--split all` takes every row."
        )
    return Table(table.path, kept)


def cluster_column(table: Table, named: str | None) -> str | None:
    """The column to resample by: the one that is `named`, else the first of CLUSTERS; None without one."""
    if named:
        return table.column((named,), "clusters")
    return next((name for name in CLUSTERS if name in table.columns), None)


def cells(truth: Table, side: Table, column: str) -> list[str | None]:
    """The cells of a column of `side` for the clips of `truth`, in their order."""
    return [text_of(side.rows.get(clip, {}).get(column)) for clip in truth.rows]
