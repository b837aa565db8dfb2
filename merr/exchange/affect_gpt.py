"""AffectGPT's CSV files: `name,openset` with a Python list as text, and `name,reason`.

Its reader strips the brackets of a list and splits at quotes and commas, so labels hold neither.
Cells that a spreadsheet would run as a formula are quoted with an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from emo.corpora.merr_files import Entry
from emo.safety.cells import inert


def openset_csv(entries: Mapping[str, Entry]) -> str:
    """`name,openset`: the label as the only member of its list."""
    return _csv("openset", {clip_id: f"['{entry['pseu_emotion']}']" for clip_id, entry in entries.items()})


def reason_csv(entries: Mapping[str, Entry]) -> str:
    """`name,reason` of the entries that have a reason."""
    key = "smp_reason_caption"
    return _csv("reason", {clip_id: str(entry[key]) for clip_id, entry in entries.items() if key in entry})


def _csv(column: str, rows: Mapping[str, str]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["name", column])
    writer.writerows([inert(name), inert(value)] for name, value in rows.items())
    return stream.getvalue()
