"""Scores that a judge gives the descriptions of one system: clue and label overlap, 1 to 10, as for EMER.

Takes texts, never models; which system wrote them is not told to the judge. Axes: N clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from emo.errors import ConfigError
from emo.evaluation.answers_table import read_table, text_of
from emo.evaluation.judge import Judge, Verdict
from emo.evaluation.measures import Settings, pair
from emo.evaluation.scoring import cells, cluster_column
from emo.evaluation.summed import Measured, Summed, mean_of, measured

TRUTHS = ("reason", "reasons", "english", "description", "caption", "text")
TEXTS = ("text", "reason", "reasons", "description")


def judged(judge: Judge, truth: Sequence[str], descriptions: Sequence[str | None]) -> Summed:
    """Mean clue and label overlap; None and empty descriptions have the lowest score and are invalid.

    A clip for which the judge gives no sound answer does not count in that score: `unjudged` says how many.
    ConfigError where lengths differ, a true description is empty, or the judge gave no score at all.
    """
    if not truth or len(truth) != len(descriptions):
        raise ConfigError(f"{len(truth)} true descriptions, {len(descriptions)} given. Give one of each.")
    if bare := sum(not text.strip() for text in truth):
        raise ConfigError(f"{bare} of {len(truth)} clips have no true description. Leave those out.")
    pairs = [(one, other or "") for one, other in zip(truth, descriptions, strict=True)]
    clues = [judge.clue_overlap(*pair) for pair in pairs]
    labels = [judge.label_overlap(*pair) for pair in pairs]
    rows = np.array(
        [[*_counted(clue), *_counted(label)] for clue, label in zip(clues, labels, strict=True)], np.float64
    )
    unjudged = {
        "clue_overlap": sum(each is None for each in clues),
        "label_overlap": sum(each is None for each in labels),
    }
    if len(truth) in unjudged.values():
        raise ConfigError(f"judge {judge.model} gave no sound score for any of {len(truth)} clips.")
    withheld = sum(each is not None and each.withheld > 0 for each in clues)
    return Summed(
        rows=rows,
        statistics={"clue_overlap": mean_of(0, 1), "label_overlap": mean_of(2, 3)},
        invalid=np.array([not other.strip() for _, other in pairs], np.bool_),
        details={
            "judge": judge.model,
            "prompt": judge.prompt,
            "temperature": 0,
            "unjudged": unjudged,
            "clips_with_withheld_sentences": withheld,
        },
        notes=_notes(judge, unjudged, withheld),
    )


def judge_file(
    judge: Judge,
    truth: Path,
    answers: Path,
    *,
    truth_column: str | None = None,
    column: str | None = None,
    cluster: str | None = None,
    encoding: str = "utf-8",
    seed: int = 0,
) -> Measured:
    """As `judged`, of two tables with a description a clip, with intervals resampled by `cluster`.

    The columns are the first of TRUTHS and TEXTS that are there, unless they are named; the cluster is the
    first of CLUSTERS. A clip of `truth` without an answer is invalid. ConfigError where files do not fit.
    """
    table = read_table(truth, encoding=encoding)
    pairs, notes = pair(
        table,
        read_table(answers, encoding=encoding),
        Settings(truth_column=truth_column, column=column),
    )
    run = judged(
        judge,
        pairs.true(TRUTHS, "true description", text_of),
        pairs.said(TEXTS, "description", text_of),
    )
    by = cluster_column(table, cluster)
    found = measured(run, cells(table, table, by) if by else None, seed=seed)
    return replace(found, notes=(*notes, *found.notes))


def _counted(verdict: Verdict | None) -> tuple[float, float]:
    return (0.0, 0.0) if verdict is None else (float(verdict.score), 1.0)


def _notes(judge: Judge, unjudged: dict[str, int], withheld: int) -> tuple[str, ...]:
    notes = [
        f"judge {judge.model}, prompt {judge.prompt[:12]}, temperature 0: scores of another judge or prompt "
        "are not comparable."
    ]
    if any(unjudged.values()):
        notes.append(f"the judge gave no sound answer for some clips, which do not count: {unjudged}.")
    if withheld:
        notes.append(f"in {withheld} clips sentences that speak to a judge were kept from it.")
    return tuple(notes)
