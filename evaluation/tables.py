"""Tables of results, as rows and as Markdown. Knows scores, never what made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emo.evaluation.intervals import Interval
from emo.evaluation.metrics import Scores

HEADERS = ("system", "n", "weighted F1", "95 % interval", "UAR", "WAR", "invalid")
TITLES: Mapping[str, str] = {
    "weighted_f1": "weighted F1",
    "uar": "UAR",
    "war": "WAR",
    "ece": "ECE",
    "mse": "MSE",
    "ccc": "CCC",
    "mae": "MAE",
}


@dataclass(frozen=True, slots=True)
class Result:
    """One line of a results table; `interval` is that of the weighted F1."""

    system: str
    scores: Scores
    interval: Interval | None = None


def title_of(score: str) -> str:
    """How a score is called in a table; its key where it has no other name."""
    return TITLES.get(score, score)


def result_rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Cells under HEADERS: three decimals, the interval or a dash, the rate of invalid answers in percent."""
    return [
        (
            result.system,
            str(result.scores.n),
            f"{result.scores.weighted_f1:.3f}",
            result.interval.bounds if result.interval else "-",
            f"{result.scores.uar:.3f}",
            f"{result.scores.war:.3f}",
            f"{100 * result.scores.invalid_rate:.1f} %",
        )
        for result in results
    ]


def per_class_rows(scores: Scores) -> list[tuple[str, ...]]:
    """Cells class, n, precision, recall, F1."""
    return [
        (row.label, str(row.support), f"{row.precision:.3f}", f"{row.recall:.3f}", f"{row.f1:.3f}")
        for row in scores.per_class
    ]


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it reads as text too; first column left, the others right."""
    cells = [[escaped(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(headers))]

    def line(row: Sequence[str]) -> str:
        padded = [row[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    return "\n".join([line(cells[0]), line(rule), *map(line, cells[1:])]) + "\n"


def results_markdown(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    return markdown_table(HEADERS, result_rows(results))


def escaped(cell: str) -> str:
    """The text of a cell, which cannot end it."""
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
