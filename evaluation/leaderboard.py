"""Published tables with source and caveats, and one's own results placed into them.

A table is one of `evaluation/leaderboards` by name, or a YAML file. What a row was computed with is told, and
a row of another protocol is marked. Runs nothing and knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from emo.config.strict import checked, load_named, names_in, unknown_keys
from emo.errors import ConfigError
from emo.evaluation.own_results import OwnResult
from emo.evaluation.published import Reading

BOARDS = "emo.evaluation.leaderboards"
FEW_COLUMNS = 3  # in wider tables one's own intervals stand below, not in the cells
Protocol = Literal["same", "other"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A score: its key in results, such as `uar` or `recall:happy`, and its heading."""

    key: str
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A published line; without a `source` it is the table's. `protocol` is against the table's."""

    system: str
    values: Mapping[str, float]
    source: str = ""
    caveat: str = ""
    protocol: Protocol = "same"


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaderboard:
    """A published table.

    Scores of 0 to 1 times `scale` are in its unit. `n` clips were scored, 0 where that is not known, and
    `support` of each class. `judge` is the model that gave the scores, where one did; `reading` is how
    answers were read, as in `published`. `caveats` hold for the table as a whole.
    """

    title: str
    about: str
    columns: tuple[Column, ...]
    source: str
    rows: tuple[Row, ...]
    n: int = 0
    scale: float = 1
    decimals: int = 4
    judge: str = ""
    reading: Reading = "strict"
    support: Mapping[str, int] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of the printed table: cells under the columns; `mine` tells one's own, `other` the protocol."""

    system: str
    cells: tuple[str, ...]
    source: str
    caveat: str
    mine: bool
    other: bool


def board_names() -> list[str]:
    """Names of the tables that come with emo."""
    return names_in(BOARDS)


def load_board(name_or_file: str) -> Leaderboard:
    """The table of that name or in that file; ConfigError with every mistake in it."""
    data = load_named(BOARDS, name_or_file)
    mistakes = unknown_keys(data, Leaderboard, name_or_file)
    for key, kind in (("rows", Row), ("columns", Column)):
        rows = data.get(key)
        for row in rows if isinstance(rows, list) else []:
            mistakes += unknown_keys(row, kind, f"{name_or_file}: {key}")
    return checked(Leaderboard, data, name_or_file, mistakes, _contradictions)


def placed(board: Leaderboard, own: Sequence[OwnResult]) -> list[Line]:
    """The lines of `board` and of `own`, best first by the first column.

    ConfigError where a result has none of the table's scores.
    """
    lines = [(_headline(board, row.values, 1), _published(board, row)) for row in board.rows]
    for result in own:
        values = {
            column.key: result.values[column.key] for column in board.columns if column.key in result.values
        }
        if not values:
            raise ConfigError(
                f"{result.path}: has none of {', '.join(column.key for column in board.columns)}, the scores "
                f"of {board.title}. It has {', '.join(result.values) or 'none'}."
            )
        lines.append((_headline(board, values, board.scale), _own(board, result)))
    return [line for _, line in sorted(lines, key=lambda pair: -pair[0])]


def why_other(board: Leaderboard, result: OwnResult) -> str:
    """Why `result` is of another protocol than `board`; empty where nothing tells that it is."""
    reasons = []
    if not board.n:
        reasons.append("the table does not say on which clips")
    elif result.n != board.n:
        reasons.append(f"n {result.n} here, {board.n} there")
    if board.judge and result.judge != board.judge:
        reasons.append(f"judge {result.judge or 'unknown'} here, {board.judge} there")
    if board.support and {name: count for name, count in result.support.items() if count} != board.support:
        reasons.append("the classes have other numbers of clips")
    if board.reading != result.reading and result.invalid_rate:  # both readings agree where all name a label
        reasons.append(f"{result.reading} reading of answers here, {board.reading} there")
    return "; ".join(reasons)


def _headline(board: Leaderboard, values: Mapping[str, float], scale: float) -> float:
    value = values.get(board.columns[0].key)
    return float("-inf") if value is None else value * scale


def _published(board: Leaderboard, row: Row) -> Line:
    return Line(
        system=row.system,
        cells=tuple(
            f"{row.values[column.key]:.{board.decimals}f}" if column.key in row.values else "-"
            for column in board.columns
        ),
        source=row.source or board.source,
        caveat=row.caveat,
        mine=False,
        other=row.protocol == "other",
    )


def _own(board: Leaderboard, result: OwnResult) -> Line:
    cells, below = [], ""
    for column in board.columns:
        value = result.values.get(column.key)
        text = "-" if value is None else f"{value * board.scale:.{board.decimals}f}"
        if column.key in result.deviations:
            text += f" ± {result.deviations[column.key] * board.scale:.{board.decimals}f}"
        if value is not None and (interval := result.intervals.get(column.key)):
            low, high = (f"{end * board.scale:.{board.decimals}f}" for end in interval)
            if len(board.columns) > FEW_COLUMNS:
                below += f", {column.title} in [{low}, {high}]"
            else:
                text += f" [{low}, {high}]"
        cells.append(text)
    if result.deviations:
        below += f", mean ± standard deviation over {result.runs} runs"
    if "ece" in result.values:
        below += f", ECE {result.values['ece']:.3f}"
    if result.data:
        below += f"; of {', '.join(f'{record.name} ({record.licence})' for record in result.data)}"
    differs = why_other(board, result)
    return Line(
        system=result.name,
        cells=tuple(cells),
        source=result.source,
        caveat=f"n {result.n}, invalid {result.invalid_rate:.1%}{below}"
        + (f"; {differs}" if differs else ""),
        mine=True,
        other=bool(differs),
    )


def _contradictions(board: Leaderboard) -> list[str]:
    keys = {column.key for column in board.columns}
    return [
        f"rows: {row.system}: {key} is no column"
        for row in board.rows
        for key in row.values
        if key not in keys
    ] + ([] if board.columns else ["columns: none. Name one."])
