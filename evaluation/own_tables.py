"""One's own results as tables: scores, declared groups, whose data they are of, and two systems compared.

Each is printed as a leaderboard is, in every form. Knows results that were read, nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

from emo.evaluation.board_text import BoardTable
from emo.evaluation.groups import GroupScores
from emo.evaluation.intervals import Interval
from emo.evaluation.own_results import OwnResult
from emo.evaluation.paired import Paired
from emo.evaluation.tables import title_of
from emo.rights import UNDECLARED, DataRights

RECALL = "recall:"
UNSAID = "nobody said"


def own_tables(
    own: Sequence[OwnResult], compared: Sequence[tuple[str, Paired]], base: str
) -> list[BoardTable]:
    """Every table that there is something for; `compared` are systems against the one called `base`."""
    if not own:
        return []
    columns = dict.fromkeys(group.column for result in own for group in result.groups)
    return [
        scores_table(own),
        *(group_table(own, column) for column in columns),
        *([paired_table(compared, base)] if compared else []),
        data_table(own),
    ]


def scores_table(own: Sequence[OwnResult]) -> BoardTable:
    """Every score but the recalls, each with n, runs and the rate of invalid answers."""
    rows = [
        (
            result.name,
            title_of(key),
            f"{value:.3f}",
            _around(result, key),
            str(result.n),
            str(result.runs),
            f"{result.invalid_rate:.1%}",
        )
        for result in own
        for key, value in result.values.items()
        if not key.startswith(RECALL)
    ]
    notes = ["[low, high]: 95 % interval of a bootstrap over speakers or dialogues."]
    if any(result.deviations for result in own):
        notes.append(
            "±: standard deviation (n - 1) over runs that differ in their seed; the value is the mean."
        )
    return BoardTable(
        title="Your results",
        lead="every score of the files that were named",
        headers=("system", "score", "value", "interval or deviation", "n", "runs", "invalid"),
        rows=tuple(rows),
        mine=frozenset(),
        notes=(*notes, *(f"{result.name}: {result.source}" for result in own)),
    )


def group_table(own: Sequence[OwnResult], column: str) -> BoardTable:
    """The score of each declared group in `column`, worst first, and the worst gap."""
    rows: list[tuple[str, ...]] = []
    notes: dict[str, None] = {}
    for result in own:
        found = [one for one in result.groups if one.column == column]
        if found:
            rows += _group_rows(result.name, found)
            notes |= dict.fromkeys(_group_notes(result.name, found))
    score = next(one.gap.metric for result in own for one in result.groups if one.column == column)
    return BoardTable(
        title=f"By {column}",
        lead=f"{title_of(score)} of each group as it was declared; nothing is inferred from a face",
        headers=("system", column, "n", "speakers", title_of(score), "invalid"),
        rows=tuple(rows),
        mine=frozenset(),
        notes=tuple(notes),
    )


def data_table(own: Sequence[OwnResult]) -> BoardTable:
    """What the owners of the clips behind each result allow."""
    records = list(dict.fromkeys(record for result in own for record in result.data or (UNDECLARED,)))
    rows = [
        (
            result.name,
            record.name,
            record.licence,
            _may(record.may_share_features),
            _may(record.may_send_to_cloud),
        )
        for result in own
        for record in result.data or (UNDECLARED,)
    ]
    return BoardTable(
        title="Data",
        lead="whose clips these results, and the models behind them, were made of",
        headers=("system", "data set", "licence", "features may be shared", "clips may be sent"),
        rows=tuple(rows),
        mine=frozenset(),
        notes=tuple(note for record in records for note in _told(record)),
    )


def paired_table(compared: Sequence[tuple[str, Paired]], base: str) -> BoardTable:
    """The differences of systems to the one called `base`."""
    rows = [
        (
            f"{name} - {base}",
            title_of(each.metric),
            f"{each.value:+.3f}",
            f"[{each.low:+.3f}, {each.high:+.3f}]",
            f"{each.p_value:.3g}",
            str(found.n),
            str(found.clusters),
            f"{found.invalid[0]:.1%}, {found.invalid[1]:.1%}",
        )
        for name, found in compared
        for each in found.differences
    ]
    notes = ["paired bootstrap: both systems on the same resampled speakers, 95 % interval, two-sided p."]
    if len(compared) > 1:
        notes.append(f"p is not corrected for {len(compared)} comparisons.")
    notes += [f"{name}: {note}" for name, found in compared for note in found.notes]
    return BoardTable(
        title=f"Against {base}",
        lead="difference on the same clips, of the means over runs where there are several",
        headers=("systems", "score", "difference", "interval", "p", "n", "speakers", "invalid, each"),
        rows=tuple(rows),
        mine=frozenset(),
        notes=tuple(notes),
    )


def _around(result: OwnResult, key: str) -> str:
    if key in result.deviations:
        return f"± {result.deviations[key]:.3f}"
    if key in result.intervals:
        low, high = result.intervals[key]
        return f"[{low:.3f}, {high:.3f}]"
    return "-"


def _group_rows(name: str, runs: Sequence[GroupScores]) -> Iterator[tuple[str, ...]]:
    first = runs[0]
    for one in first.groups:
        same = [each for run in runs for each in run.groups if each.group == one.group]
        value = _spread([each.score for each in same])
        invalid = sum(each.invalid_rate for each in same) / len(same)
        yield (name, one.group, str(one.n), str(one.score.clusters), value, f"{invalid:.1%}")
    n, speakers = sum(one.n for one in first.groups), sum(one.score.clusters for one in first.groups)
    invalid = sum(one.n * one.invalid_rate for one in first.groups) / n
    gap = _spread([run.gap for run in runs])
    yield (name, "worst gap", str(n), str(speakers), gap, f"{invalid:.1%}")


def _spread(scores: Sequence[Interval]) -> str:
    """A score with its interval, or the mean and standard deviation of several runs'."""
    if len(scores) == 1:
        return str(scores[0])
    points = [score.point for score in scores]
    return f"{fmean(points):.3f} ± {stdev(points):.3f}"


def _group_notes(name: str, runs: Sequence[GroupScores]) -> Iterator[str]:
    told = ", ".join(f"{run.p_value:.3g}" for run in runs)
    yield f"{name}: p of the worst gap by shuffling groups among speakers: {told}"
    if runs[0].undeclared:
        yield f"{name}: {runs[0].undeclared} clips declare no {runs[0].column}"
    for note in dict.fromkeys(note for run in runs for note in run.notes):
        yield f"{name}: {note}"


def _may(said: bool | None) -> str:
    return UNSAID if said is None else "yes" if said else "no"


def _told(record: DataRights) -> Iterator[str]:
    if record.eula_url:
        yield f"{record.name}: agreement at {record.eula_url}"
    if record.citation:
        yield f"{record.name}: cite {record.citation}"
