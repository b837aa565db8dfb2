"""Files that the MER challenges take, 2023 to 2026, written so that they read back as what was answered.

Track 3 of MER2026 (which of two descriptions is preferred) has no published file format and is left out.
Knows answers and columns, never models.

Sources: MERTools (github.com/zeroQiaoba/MERTools): MER2023/main-release.py, MER2024/main-ov.py,
MER2025_Track1/submission.py, MER2025_Track23/ovlabel_extraction.py, MER2026_Track1/submission.py.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from emo.errors import ConfigError
from emo.evaluation.answers_table import Cell, Table, number_of, read_table, text_of, words_of
from emo.labels import MER2023, parse_label

Kind = Literal["discrete", "valence", "openset", "reason"]
Value: TypeAlias = "str | float | tuple[str, ...]"
COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    "discrete": ("discrete", "label", "emo"),
    "valence": ("valence", "val"),
    "openset": ("openset", "words", "labels"),
    "reason": ("reason", "text"),
}
EARLIEST = (1980, 1, 1, 0, 0, 0)  # of a zip member: equal answers give equal bytes


@dataclass(frozen=True, slots=True)
class Track:
    """What a track asks for, and the ending of its file."""

    about: str
    kinds: tuple[Kind, ...]
    suffix: str = ".csv"


TRACKS: Mapping[str, Track] = {
    "mer2023-multi": Track("MER2023-MULTI: label and valence", ("discrete", "valence")),
    "mer2023-noise": Track("MER2023-NOISE: label and valence", ("discrete", "valence")),
    "mer2023-semi": Track("MER2023-SEMI: label", ("discrete",)),
    "mer2024-semi": Track("MER2024-SEMI: label", ("discrete",)),
    "mer2024-noise": Track("MER2024-NOISE: label", ("discrete",)),
    "mer2024-ov": Track("MER2024-OV: word lists", ("openset",)),
    "mer2025-track1": Track("MER2025 track 1: label", ("discrete",)),
    "mer2025-track2": Track("MER2025 track 2: word lists", ("openset",), "-openset.npz"),
    "mer2025-track3": Track("MER2025 track 3: description", ("reason",)),
    "mer2026-track1": Track("MER2026 track 1: label", ("discrete",)),
    "mer2026-track2": Track("MER2026 track 2: word lists", ("openset",), "-openset.npz"),
}


@dataclass(frozen=True, slots=True)
class Submission:
    """Answers by clip, each with the values that the track asks for."""

    track: str
    answers: Mapping[str, tuple[Value, ...]]


def track_named(name: str) -> Track:
    """The track called `name`; ConfigError where there is none."""
    if name not in TRACKS:
        raise ConfigError(f"no track {name!r}. Known: {', '.join(TRACKS)}.")
    return TRACKS[name]


def gathered(
    track: str, answers: Table, candidates: Sequence[str] = (), missing: str | None = None
) -> tuple[Submission, int]:
    """The answers of `track` for `candidates`, by default every clip of `answers`; how many were filled in.

    A label is one of the six of MER2023. `missing` is the label for answers that name none; without it these,
    and whatever else is missing, are ConfigError.
    """
    asked = track_named(track)
    if missing is not None and missing not in MER2023:
        raise ConfigError(f"{missing!r} is no label of {track}. Known: {', '.join(MER2023)}.")
    if missing is not None and "discrete" not in asked.kinds:
        raise ConfigError(f"{track} asks for no label, so --missing has nothing to fill.")
    columns = {kind: answers.column(COLUMNS[kind], kind) for kind in asked.kinds}
    found: dict[str, tuple[Value, ...]] = {}
    lacking: list[str] = []
    filled = 0
    for clip in candidates or tuple(answers.rows):
        row = answers.rows.get(clip, {})
        values = {kind: _read(kind, row.get(column)) for kind, column in columns.items()}
        if values.get("discrete", "") is None and missing is not None:
            values["discrete"] = missing
            filled += 1
        lacking += [f"{clip!r} ({kind})" for kind, value in values.items() if value is None]
        found[clip] = tuple(value for value in values.values() if value is not None)
    if lacking:
        raise ConfigError(
            f"{answers.path}: {len(lacking)} answers cannot be submitted to {track}, the first: "
            f"{', '.join(lacking[:5])}. Answer them"
            + (", or name the label they get with --missing LABEL." if "discrete" in asked.kinds else ".")
        )
    return Submission(track, found), filled


def write_submission(path: Path, submission: Submission) -> Path:
    """Write the file, once it reads back as `submission`.

    ConfigError, with `path` as it was, where its name has not the ending that the track wants, or where an
    answer cannot be told in the track's format.
    """
    track = track_named(submission.track)
    if not path.name.endswith(track.suffix):
        raise ConfigError(f"{path}: {submission.track} takes a file that ends in {track.suffix}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    try:
        partial.write_bytes(_npz(submission) if track.suffix.endswith(".npz") else _csv(submission, track))
        same = read_submission(submission.track, partial) == submission
    except (ConfigError, UnicodeEncodeError):
        same = False
    if not same:
        partial.unlink(missing_ok=True)
        raise ConfigError(
            f"{path} would not read back as what was answered and is not written: a word has a quote, a "
            "comma or a bracket, or a text characters that the format cannot hold."
        )
    partial.replace(path)
    return path


def read_submission(track: str, path: Path) -> Submission:
    """The submission in `path`; errors as `read_table` and `gathered`."""
    return gathered(track, read_table(path))[0]


def _read(kind: Kind, cell: Cell) -> Value | None:
    if kind == "valence":
        return number_of(cell)
    if kind == "openset":
        words = words_of(cell)
        return None if words is None else tuple(words)
    text = text_of(cell)
    return parse_label(text or "", MER2023) if kind == "discrete" else text


def _csv(submission: Submission, track: Track) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("name", *track.kinds))
    for clip, values in submission.answers.items():
        writer.writerow((clip, *map(_cell, values)))
    return stream.getvalue().encode()


def _npz(submission: Submission) -> bytes:
    """Text arrays only, which need no pickle to be read."""
    arrays = {
        "filenames": np.array(list(submission.answers), dtype=np.str_),
        "fileitems": np.array([_cell(values[0]) for values in submission.answers.values()], dtype=np.str_),
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EARLIEST), member.getvalue())
    return stream.getvalue()


def _cell(value: Value) -> str:
    """Word lists as the text of a Python list, which is what the challenges' readers split."""
    if isinstance(value, tuple):
        return "[" + ", ".join(f"'{word}'" for word in value) + "]"
    return repr(value) if isinstance(value, float) else value
