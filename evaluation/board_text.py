"""A leaderboard as text for the terminal, Markdown, LaTeX and HTML. Knows lines, nothing of scores.

A row of another protocol carries a dagger in every form, one's own an arrow, and each caveat stands as a
numbered note below the table that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from emo.evaluation.leaderboard import Leaderboard, Line
from emo.evaluation.report import Report
from emo.evaluation.tables import markdown_table

DAGGER, MINE = "†", "→ "
OTHER = f"{DAGGER} another protocol than the table's: not to be compared line by line"
LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    DAGGER: r"\textdagger{}",
    "→": r"$\rightarrow$",
    "±": r"$\pm$",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class BoardTable:
    """A table ready to be printed: cells, the rows that are one's own, and what stands below."""

    title: str
    lead: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    mine: frozenset[int]
    notes: tuple[str, ...]


def board_table(board: Leaderboard, lines: Sequence[Line]) -> BoardTable:
    """`lines` of `board` as cells: system, scores, source; caveats are numbered in order of the rows."""
    notes: list[str] = []
    sources: dict[str, str] = {}
    rows = []
    for line in lines:
        mark = DAGGER if line.other else ""
        if line.caveat:
            notes.append(line.caveat)
            mark += f" [{len(notes)}]"
        letter = sources.setdefault(line.source, chr(ord("a") + len(sources) % 26))
        rows.append((f"{MINE if line.mine else ''}{line.system}{mark}", *line.cells, f"({letter})"))
    below = [f"[{number}] {note}" for number, note in enumerate(notes, start=1)]
    below += [f"({letter}) {source}" for source, letter in sources.items()]
    if any(line.other for line in lines):
        below.append(OTHER)
    return BoardTable(
        title=board.title,
        lead=board.about,
        headers=("system", *(column.title for column in board.columns), "source"),
        rows=tuple(rows),
        mine=frozenset(place for place, line in enumerate(lines) if line.mine),
        notes=(*(f"Caveat: {caveat}" for caveat in board.caveats), *below),
    )


def terminal(tables: Sequence[BoardTable]) -> str:
    """Aligned columns with the notes below."""
    return "\n".join(_terminal(table) for table in tables)


def markdown(tables: Sequence[BoardTable], *, level: int = 2) -> str:
    """One heading of `level` and one table for each."""
    return "\n".join(
        f"{'#' * level} {table.title}\n\n{table.lead}\n\n{markdown_table(table.headers, table.rows)}\n"
        + "".join(f"- {note}\n" for note in table.notes)
        for table in tables
    )


def latex(tables: Sequence[BoardTable]) -> str:
    """One `table` environment for each; needs the package booktabs."""
    return "% \\usepackage{booktabs}\n" + "\n".join(map(_latex, tables))


def html(tables: Sequence[BoardTable]) -> str:
    """One page with a section for each."""
    report = Report(
        "Beside published results", "yours are marked; what the numbers rest on is said below each table"
    )
    for table in tables:
        report.section(table.title, table.lead)
        report.table(table.headers, table.rows, marked=table.mine)
        for note in table.notes:
            if note.startswith("Caveat: "):
                report.note(note.removeprefix("Caveat: "))
        report.text("\n".join(note for note in table.notes if not note.startswith("Caveat: ")))
    return report.html()


FORMS: Mapping[str, Callable[[Sequence[BoardTable]], str]] = {
    ".txt": terminal,
    ".md": markdown,
    ".tex": latex,
    ".html": html,
}


def _terminal(table: BoardTable) -> str:
    cells = (table.headers, *table.rows)
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.headers))]

    def line(row: Sequence[str]) -> str:
        first = row[0].ljust(widths[0])
        others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "  ".join([first, *others]).rstrip()

    head = [f"{table.title}: {table.lead}", line(table.headers), "-" * len(line(table.headers))]
    return "\n".join([*head, *map(line, table.rows), "", *table.notes]) + "\n"


def _latex(table: BoardTable) -> str:
    def line(row: Sequence[str], *, strong: bool = False) -> str:
        cells = [_escaped(cell) for cell in row]
        return " & ".join(rf"\textbf{{{cell}}}" if strong else cell for cell in cells) + r" \\"

    body = [line(row, strong=place in table.mine) for place, row in enumerate(table.rows)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(f'{table.title}: {table.lead}')}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.headers) - 1)}}}",
            r"\toprule",
            line(table.headers),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip\footnotesize",
            *(rf"{_escaped(note)}\par" for note in table.notes),
            r"\end{table}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))
