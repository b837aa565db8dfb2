"""The metrics by name: which columns each needs, and the same call for all of them.

Takes tables of truths and answers. Knows no model, and nothing of intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from emo.errors import ConfigError
from emo.evaluation.answers_table import (
    Cell,
    Table,
    number_of,
    read_synonyms,
    text_of,
    words_of,
)
from emo.evaluation.continuous import regression
from emo.evaluation.mer2023 import labels_only, mer2023
from emo.evaluation.open_words import hit_rate, set_overlap, wheel_scores
from emo.evaluation.sentiment import mosi, sims
from emo.evaluation.summed import Summed
from emo.evaluation.wheels import load_wheels
from emo.labels import LABEL_SETS, parse_label

LABELS = ("label", "discrete", "emo", "emotion")
VALENCES = ("valence", "val")
VALUES = ("value", "sentiment", "val", "valence", "label")
OPENSETS = ("openset", "words", "labels")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a metric may need besides the tables.

    `labels` names a label set, or gives labels with commas between; without it they are those of the truth.
    `truth_column` and `column` name the columns, where they have another name than usual.
    """

    labels: str = ""
    truth_column: str | None = None
    column: str | None = None
    wheel_data: Path | None = None
    synonyms: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """Truths and answers of the same clips; None is a clip without an answer."""

    clips: tuple[str, ...]
    truth: Table
    answers: Table
    settings: Settings

    def true(self, names: Sequence[str], what: str, read: Callable[[Cell], T | None]) -> list[T]:
        """The true value of each clip; ConfigError where a clip has none."""
        column = self.truth.column(_preferred(self.settings.truth_column, names), what)
        values = {clip: read(self.truth.rows[clip].get(column)) for clip in self.clips}
        if bare := [clip for clip, value in values.items() if value is None]:
            raise ConfigError(
                f"{self.truth.path}: {len(bare)} of {len(values)} clips have no {what} in column {column!r}, "
                f"the first is {bare[0]!r}. Leave those clips out."
            )
        return [value for value in values.values() if value is not None]

    def said(self, names: Sequence[str], what: str, read: Callable[[Cell], T | None]) -> list[T | None]:
        """The answer for each clip; None where there is none that can be read."""
        column = self.answers.column(_preferred(self.settings.column, names), what)
        return [read(self.answers.rows.get(clip, {}).get(column)) for clip in self.clips]


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric: what it is, what it runs on, and the score by which groups are compared."""

    about: str
    run: Callable[[Pairs], Summed]
    by_group: str


def _labels(pairs: Pairs) -> Summed:
    return labels_only(*_label_pairs(pairs))


def _mer2023(pairs: Pairs) -> Summed:
    own = Pairs(
        clips=pairs.clips,
        truth=pairs.truth,
        answers=pairs.answers,
        settings=Settings(labels=pairs.settings.labels or "mer2023"),
    )
    return mer2023(
        *_label_pairs(own),
        own.true(VALENCES, "valence", number_of),
        own.said(VALENCES, "valence", number_of),
    )


def _values(scores: Callable[[Sequence[float], Sequence[float | None]], Summed]) -> Callable[[Pairs], Summed]:
    def run(pairs: Pairs) -> Summed:
        return scores(
            pairs.true(VALUES, "sentiment value", number_of), pairs.said(VALUES, "sentiment value", number_of)
        )

    return run


def _valence(pairs: Pairs) -> Summed:
    names = (*VALENCES, "value")
    return regression(pairs.true(names, "valence", number_of), pairs.said(names, "valence", number_of))


def _overlap(pairs: Pairs) -> Summed:
    groups = None
    if pairs.settings.synonyms is not None:
        known = read_synonyms(pairs.settings.synonyms)
        groups = [known.get(clip, []) for clip in pairs.clips]
    return set_overlap(
        pairs.true(OPENSETS, "true words", words_of), pairs.said(OPENSETS, "words", words_of), groups
    )


def _wheels(version: str) -> Callable[[Pairs], Summed]:
    def run(pairs: Pairs) -> Summed:
        wheels = load_wheels(version, pairs.settings.wheel_data)
        return wheel_scores(
            pairs.true(OPENSETS, "true words", words_of), pairs.said(OPENSETS, "words", words_of), wheels
        )

    return run


def _hits(version: str) -> Callable[[Pairs], Summed]:
    def run(pairs: Pairs) -> Summed:
        wheels = load_wheels(version, pairs.settings.wheel_data)
        said = pairs.said((*OPENSETS, *LABELS), "words", words_of)
        return hit_rate(pairs.true(LABELS, "label", text_of), said, wheels)

    return run


MEASURES: Mapping[str, Measure] = {
    "labels": Measure("weighted F1, UAR and WAR", _labels, "uar"),
    "mer2023": Measure("weighted F1 - 0.25 MSE of valence (MER2023-MULTI, -NOISE)", _mer2023, "weighted_f1"),
    "valence": Measure("CCC, MSE, MAE and correlation of a number", _valence, "ccc"),
    "mosi": Measure("CMU-MOSI and CMU-MOSEI: without and with neutral clips", _values(mosi), "acc2_non0"),
    "sims": Measure("CH-SIMS and v2", _values(sims), "acc2"),
    "mer2024-ov": Measure("set accuracy and recall of word lists", _overlap, "average"),
    "ew-2025": Measure("emotion wheels as in MER2025, both levels", _wheels("ew-2025"), "f_level1"),
    "ew-2026": Measure("emotion wheels as in MER2026, both levels", _wheels("ew-2026"), "f_level1"),
    "hit-rate-2025": Measure("hit rate of MER-UniBench, wheels of 2025", _hits("ew-2025"), "hit_rate"),
    "hit-rate-2026": Measure("hit rate of MER-UniBench, wheels of 2026", _hits("ew-2026"), "hit_rate"),
}


def measure_named(name: str) -> Measure:
    """The metric called `name`; ConfigError where there is none."""
    if name not in MEASURES:
        raise ConfigError(f"no metric {name!r}. Known: {', '.join(MEASURES)}.")
    return MEASURES[name]


def pair(truth: Table, answers: Table, settings: Settings) -> tuple[Pairs, tuple[str, ...]]:
    """The clips of `truth` with their answers, and notes on what the two tables do not share.

    ConfigError where no clip is in both.
    """
    clips = tuple(truth.rows)
    missing = [clip for clip in clips if clip not in answers.rows]
    if len(missing) == len(clips):
        raise ConfigError(
            f"{answers.path}: none of its {len(answers.rows)} clips is in {truth.path}. The first is "
            f"{next(iter(answers.rows))!r}, there {clips[0]!r}. Check the ids."
        )
    notes = []
    if missing:
        notes.append(
            f"{len(missing)} of {len(clips)} clips have no answer and count as invalid, the first is "
            f"{missing[0]!r}."
        )
    if beyond := sum(clip not in truth.rows for clip in answers.rows):
        notes.append(f"{beyond} answers are of clips that have no truth; they are passed over.")
    return Pairs(clips=clips, truth=truth, answers=answers, settings=settings), tuple(notes)


def _label_pairs(pairs: Pairs) -> tuple[list[str], list[str | None], tuple[str, ...]]:
    truth = [label.lower() for label in pairs.true(LABELS, "label", text_of)]
    labels = _label_set(pairs.settings.labels, truth)

    def read(cell: Cell) -> str | None:
        text = (text_of(cell) or "").lower()
        return text if text in labels else parse_label(text, labels)

    return truth, pairs.said(LABELS, "label", read), labels


def _label_set(named: str, truth: Sequence[str]) -> tuple[str, ...]:
    if named in LABEL_SETS:
        return LABEL_SETS[named]
    given = tuple(label.strip().lower() for label in named.split(",") if label.strip())
    if len(given) == 1:
        raise ConfigError(
            f"no label set {named!r}. Known: {', '.join(LABEL_SETS)}; or give labels, a comma between each."
        )
    return given or tuple(sorted(set(truth)))


def _preferred(named: str | None, names: Sequence[str]) -> tuple[str, ...]:
    return (named,) if named else tuple(names)
