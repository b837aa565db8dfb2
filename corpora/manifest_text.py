"""The rows of a manifest as text: JSON lines or CSV. Knows no files, and no column by name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence

from emo.canonical import Json


def json_lines(rows: Iterable[Mapping[str, Json]]) -> str:
    """A line a row."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def csv_text(rows: Sequence[Mapping[str, Json]], first: Sequence[str] = ()) -> str:
    """A header of every name, those of `first` before the others, and a line a row.

    A cell that is a list or an object is JSON.
    """
    used = dict.fromkeys(name for row in rows for name in row)
    names = [*(name for name in first if name in used), *(name for name in used if name not in first)]
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
                for name, value in row.items()
            }
        )
    return stream.getvalue()
