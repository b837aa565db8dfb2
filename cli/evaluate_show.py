"""What `emo evaluate` prints for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emo.cli.score import group_lines

if TYPE_CHECKING:
    from emo.evaluation.scored import Scored
    from emo.evaluation.summed import Measured
    from emo.pipeline.evaluation import Evaluation, Reproduction
    from emo.pipeline.evaluation_run import EvaluationRun


def evaluation_lines(run: EvaluationRun) -> Iterator[str]:
    """Scores, what stands beside them, and those without what training saw."""
    from emo.pipeline.evaluation import Reproduction

    if isinstance(run.found, Reproduction):
        yield from _compared(run.found, run.model)
    else:
        yield from _scored(run.found, run.title)
    yield from run.leaks.lines()


def _scored(found: Evaluation, title: str) -> Iterator[str]:
    from emo.evaluation.groups import few_speakers

    told, n = _told(found.overall), found.scored.scores.n
    yield f"{title}: {told}, {_counts(found.scored)}"
    if few := few_speakers(found.scored.interval.clusters):
        yield f"  note: {few}"
    yield f"  calibration: ECE {found.calibration.ece}, log loss {found.calibration.nll}, n {n}"
    yield f"  answering only when sure: area under risk by coverage {found.risk.aurc}, n {n}"
    if found.combined:
        yield (
            f"  with the valence, as MER2023: {_told(found.combined)}, n {found.combined.n}, "
            f"invalid {found.combined.invalid_rate:.1%}"
        )
    if found.groups:
        yield from (f"  {line}" for line in group_lines(found.groups))
    if found.answered is not None:
        yield (
            f"  at least {found.threshold:.2f} sure: {found.coverage:.1%} of clips, "
            f"weighted F1 {found.answered.interval}, WAR {found.answered.scores.war:.3f}, "
            f"{_counts(found.answered)}"
        )
    elif found.threshold:
        yield f"  at least {found.threshold:.2f} sure: no answer is"


def _compared(found: Reproduction, model: str) -> Iterator[str]:
    yield f"{model}, {found.recipe.about}: {_counts(found.official or found.strict)}"
    for each in found.compared:
        expected, got = each.expected, each.got
        verdict = "inside" if each.inside else "outside"
        yield f"  {expected.metric} expected {expected.value:.4f} ({expected.weights}; {expected.source})"
        yield f"    got {got.point:.4f} [{got.low:.4f}, {got.high:.4f}]: expected is {verdict} the interval"
    yield (
        f"  strict reading: weighted F1 {found.strict.interval}, n {found.strict.scores.n}, "
        f"no label in {found.strict.scores.invalid_rate:.1%} of answers"
    )
    for note in found.notes:
        yield f"  note: {note}"


def _told(found: Measured) -> str:
    from emo.evaluation.tables import title_of

    return ", ".join(f"{title_of(each.metric)} {each}" for each in found.scores)


def _counts(scored: Scored) -> str:
    return f"n {scored.scores.n}, invalid {scored.scores.invalid_rate:.1%}"
