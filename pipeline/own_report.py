"""One's own results read with what stands beside them, placed into published tables, and compared in pairs.

Knows folders of results; draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from emo.corpora.declared import declared_rights
from emo.errors import ConfigError, hint
from emo.evaluation.board_text import BoardTable, board_table
from emo.evaluation.leaderboard import Leaderboard, Line, board_names, load_board, placed
from emo.evaluation.own_results import ANSWERS, OwnResult, named, over_runs, read_own
from emo.evaluation.own_tables import own_tables
from emo.evaluation.paired import Paired, paired
from emo.rights import united


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnReport:
    """One's own results, those against the one called `base`, and published tables with all of them."""

    own: Sequence[OwnResult]
    base: str
    compared: Sequence[tuple[str, Paired]]
    boards: Sequence[tuple[str, Leaderboard, Sequence[Line]]]

    @property
    def tables(self) -> list[BoardTable]:
        """Every table, one's own first."""
        return [
            *own_tables(self.own, self.compared, self.base),
            *(board_table(board, lines) for _, board, lines in self.boards),
        ]

    def to_json(self) -> dict[str, object]:
        """Plain JSON."""
        return {
            "own": [result.to_json() for result in self.own],
            "against": {
                "base": self.base,
                "systems": {name: found.to_json() for name, found in self.compared},
            },
            "boards": {name: _board_json(board, lines) for name, board, lines in self.boards},
            "data": [record.to_json() for record in united(*(result.data for result in self.own))],
        }


def own_report(
    places: Sequence[str], boards: Sequence[str], *, against: str = "", seed: int = 0
) -> OwnReport:
    """The results at `places`, FOLDER or NAME=FOLDER each, one name for the runs of one system.

    `boards` are published tables by name or file; without any, each result goes where it has scores.
    `against` names the result that the others are compared with. ConfigError where results cannot be read,
    do not fit, or no result is called so.
    """
    read = [(named(place)[0], result) for place in places for result in read_own(place)]
    own = over_runs([(name, _with_rights(result)) for name, result in read])
    return OwnReport(
        own=own,
        base=against,
        compared=_compared(own, against, seed) if against else (),
        boards=[_placed(name, own, fitting=not boards) for name in boards or board_names()],
    )


def _with_rights(result: OwnResult) -> OwnResult:
    return replace(result, data=declared_rights(result.path, []))


def _placed(name: str, own: Sequence[OwnResult], *, fitting: bool) -> tuple[str, Leaderboard, Sequence[Line]]:
    board = load_board(name)
    keys = {column.key for column in board.columns}
    return name, board, placed(board, [one for one in own if not fitting or keys & set(one.values)])


def _compared(own: Sequence[OwnResult], base: str, seed: int) -> list[tuple[str, Paired]]:
    systems = {result.name: result for result in own if result.reading == "strict"}  # as answers.jsonl reads
    if base not in systems:
        raise ConfigError(f"--against {base}: no result is called so; {hint(base, list(systems))}")
    if len(systems) < 2:
        raise ConfigError(f"--against {base}: name another result to compare it with.")
    answers = {
        name: [path.with_name(ANSWERS) for path in result.paths or (result.path,)]
        for name, result in systems.items()
    }
    return [(name, paired(answers[name], answers[base], seed=seed)) for name in systems if name != base]


def _board_json(board: Leaderboard, lines: Sequence[Line]) -> dict[str, object]:
    return {
        "caveats": list(board.caveats),
        "columns": [column.key for column in board.columns],
        "rows": [
            {
                "system": line.system,
                "cells": list(line.cells),
                "source": line.source,
                "caveat": line.caveat,
                "yours": line.mine,
                "other_protocol": line.other,
            }
            for line in lines
        ],
    }
