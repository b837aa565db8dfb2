"""Two systems on the same clips, from the answers.jsonl that `emo evaluate --out` writes: a paired test.

Knows answers beside truths, never models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.errors import ConfigError
from emo.evaluation.answers_table import Table, read_table, text_of
from emo.evaluation.intervals import Difference, cluster_codes
from emo.evaluation.mer2023 import labels_only
from emo.evaluation.summed import Summed, differences

TRUTH, SAID, SPEAKER = "truth", "label", "speaker"


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """Weighted F1, UAR and WAR of the first system minus those of the second, means over their runs.

    `invalid` are the rates of answers without a label of each; `clusters` are the speakers, or the clips
    where no speaker is known, that were resampled.
    """

    differences: tuple[Difference, ...]
    n: int
    clusters: int
    invalid: tuple[float, float]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Plain JSON."""
        return {
            "n": self.n,
            "clusters": self.clusters,
            "invalid_rates": list(self.invalid),
            "differences": {
                each.metric: {"difference": each.value, "ci": [each.low, each.high], "p_value": each.p_value}
                for each in self.differences
            },
            "notes": list(self.notes),
        }


def paired(first: Sequence[Path], second: Sequence[Path], *, seed: int = 0) -> Paired:
    """The runs of one system, their files of answers, against those of another; `seed` is the bootstrap's.

    ConfigError where a file tells no truth, or the files are not of the same clips with the same labels.
    """
    tables = [_answers(path) for path in (*first, *second)]
    clips = list(tables[0].rows)
    truth = _truth(tables[0])
    for table in tables[1:]:
        if lone := set(clips) ^ set(table.rows):
            raise ConfigError(
                f"{tables[0].path} and {table.path}: {len(lone)} clips are in one alone, such as "
                f"{min(lone)!r}. Evaluate both on the same clips."
            )
        if differing := [clip for clip, label in _truth(table).items() if truth[clip] != label]:
            raise ConfigError(
                f"{tables[0].path} and {table.path}: {len(differing)} clips have another true label, such as "
                f"{differing[0]!r}. Evaluate both with one manifest."
            )
    said = [[text_of(table.rows[clip].get(SAID)) for clip in clips] for table in tables]
    labels = sorted({*truth.values(), *(label for one in said for label in one if label)})
    runs = [labels_only([truth[clip] for clip in clips], one, labels) for one in said]
    speakers = [text_of(tables[0].rows[clip].get(SPEAKER)) for clip in clips]
    sides = runs[: len(first)], runs[len(first) :]
    bare = sum(speaker is None for speaker in speakers)
    return Paired(
        differences=differences(*sides, speakers, seed=seed),
        n=len(clips),
        clusters=int(cluster_codes(len(clips), speakers).max()) + 1,
        invalid=(_invalid(sides[0]), _invalid(sides[1])),
        notes=(f"{bare} of {len(clips)} clips name no speaker; each counts as its own.",) if bare else (),
    )


def _answers(path: Path) -> Table:
    table = read_table(path) if path.is_file() else None
    if table is None or TRUTH not in table.columns or SAID not in table.columns:
        raise ConfigError(
            f"{path}: no answers with their truth, such as `emo evaluate --out` writes. Evaluate again; "
            "files of answers are compared by: emo score A --truth MANIFEST --against B"
        )
    if withheld := sum(row.get("abstained") is True for row in table.rows.values()):
        raise ConfigError(
            f"{path}: {withheld} of {len(table.rows)} answers were withheld by --abstain-below, and what was "
            "said there is not told. Evaluate without it into another folder."
        )
    return table


def _truth(table: Table) -> dict[str, str]:
    found = {clip: text_of(row.get(TRUTH)) for clip, row in table.rows.items()}
    if bare := [clip for clip, label in found.items() if label is None]:
        raise ConfigError(f"{table.path}: {len(bare)} clips have no true label, such as {bare[0]!r}.")
    return {clip: label for clip, label in found.items() if label is not None}


def _invalid(runs: Sequence[Summed]) -> float:
    return sum(float(run.invalid.mean()) for run in runs) / len(runs)
