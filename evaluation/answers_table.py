"""Tables of answers or truths, one row a clip: CSV, JSON lines, or the .npz of the open-vocabulary tracks.

Text is UTF-8 or what the caller says, never guessed. No pickle is opened. Knows columns, never metrics.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo.canonical import Json
from emo.clip import normal_id
from emo.errors import ConfigError
from emo.text_files import SAVE, read_text

ID_COLUMNS = ("clip_id", "name", "names", "id")
MISTAKES_SHOWN = 20
OTHER_ENCODING = SAVE.replace(".", ", or give its --encoding, for example gb18030.")
Cell = Json


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by clip id, in the file's order. `path` is for messages."""

    path: Path
    rows: Mapping[str, Mapping[str, Cell]]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that a row has, in order of appearance."""
        return tuple(dict.fromkeys(name for row in self.rows.values() for name in row))

    def column(self, names: Sequence[str], what: str) -> str:
        """The first of `names` that is a column; ConfigError, with what there is, where none is."""
        found = next((name for name in names if name in self.columns), None)
        if found is None:
            raise ConfigError(
                f"{self.path}: no column for {what}: looked for {', '.join(names)}, "
                f"found {', '.join(self.columns) or 'none'}. Name the column that has it."
            )
        return found


def read_table(path: Path, *, encoding: str = "utf-8") -> Table:
    """The table in `path`; a row's id is its `clip_id`, `name`, `names` or `id`.

    ConfigError lists the rows without an id or with one that came before, and says where bytes are not in
    `encoding`.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise ConfigError(f"{path} is no file. Name a .csv, .jsonl or .npz of answers.")
    if suffix == ".npz":
        rows: Iterator[tuple[int, Mapping[str, Cell]]] = iter(enumerate(_npz(path), start=1))
    else:
        text = read_text(path, encoding, OTHER_ENCODING)
        rows = _csv(path, text) if suffix == ".csv" else _jsonl(path, text)
    found: dict[str, Mapping[str, Cell]] = {}
    first: dict[str, int] = {}
    mistakes = []
    for number, row in rows:
        given = next((row[name] for name in ID_COLUMNS if row.get(name) not in (None, "")), None)
        try:
            clip = normal_id(str(given).strip() if given is not None else "")
        except ConfigError as error:
            mistakes.append(f"{path}, row {number}: {error} Ids are in {', '.join(ID_COLUMNS)}.")
            continue
        if clip in first:
            mistakes.append(f"{path}: rows {first[clip]} and {number} are both of {clip!r}. Leave one out.")
        first.setdefault(clip, number)
        found[clip] = row
    if mistakes:
        more = len(mistakes) - MISTAKES_SHOWN
        raise ConfigError(*mistakes[:MISTAKES_SHOWN], *([f"... and {more} more."] if more > 0 else []))
    if not found:
        raise ConfigError(f"{path}: no rows. One a clip is expected.")
    return Table(path, found)


def text_of(cell: Cell) -> str | None:
    """A cell as text, None where it is empty."""
    if cell is None or isinstance(cell, list | dict):
        return None
    return str(cell).strip() or None


def number_of(cell: Cell) -> float | None:
    """A cell as a finite number, None where it is none."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return None
    try:
        value = float(cell)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def words_of(cell: Cell) -> list[str] | None:
    """The words of a list, or of the text of one; None where it is empty.

    Text is split at quotes and commas, as the challenges' own reader does: an apostrophe parts a word.
    """
    if isinstance(cell, list):
        words = [word.strip() for word in cell if isinstance(word, str)]
    elif isinstance(cell, str):
        words = [
            word.strip() for word in re.split(r"['\",]", cell.strip().removeprefix("[").removesuffix("]"))
        ]
    else:
        return None
    return [word for word in words if word] or None


def groups_of(cell: Cell) -> list[list[str]]:
    """The lists of a list of lists, or of the text of one."""
    if isinstance(cell, str):
        return [words for piece in re.split(r"[\[\]]", cell) if (words := words_of(piece))]
    return [words for piece in cell if (words := words_of(piece))] if isinstance(cell, list) else []


def read_synonyms(path: Path) -> dict[str, list[list[str]]]:
    """Synonym groups by clip: JSON lines with a column `groups`, or the .zip of .npy that MER2024 gives out.

    ConfigError where it is neither.
    """
    if path.suffix.lower() != ".zip":
        table = read_table(path)
        column = table.column(("groups",), "synonym groups")
        return {clip: groups_of(row.get(column)) for clip, row in table.rows.items()}
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            texts = {
                Path(name).stem: str(np.load(io.BytesIO(archive.read(name)), allow_pickle=False))
                for name in names
            }
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: no zip of text arrays: {error}.") from error
    return {clip: groups_of(text) for clip, text in texts.items()}


def _csv(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Cell]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise ConfigError(f"{path}, row {reader.line_num}: not the cells of the header.")
            yield reader.line_num, dict(row)
    except csv.Error as error:
        raise ConfigError(f"{path}, row {reader.line_num}: not CSV ({error}).") from error


def _jsonl(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Cell]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path}, row {number}: not JSON ({error}). One object a line.") from error
        if not isinstance(row, dict):
            raise ConfigError(f"{path}, row {number}: not a JSON object. One object a line.")
        yield number, row


def _npz(path: Path) -> list[Mapping[str, Cell]]:
    """Rows of the arrays `filenames` and `fileitems`, each of text."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names, items = arrays["filenames"], arrays["fileitems"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{path}: not an -openset.npz with the text arrays filenames and fileitems. "
            "Files that need a pickle are not opened."
        ) from error
    if names.shape != items.shape or names.ndim != 1:
        raise ConfigError(f"{path}: {names.shape} filenames, {items.shape} fileitems. One of each a clip.")
    return [{"name": str(n), "openset": str(i)} for n, i in zip(names, items, strict=True)]
