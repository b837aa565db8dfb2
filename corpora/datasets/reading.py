"""What readers of data sets share: rows, options, and a folder whose files are named when they are missing.

Encodings are strict. No media file is opened here: whether it is there is looked up when the manifest is
written. Knows no data set.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.manifest import MEDIA_SUFFIXES, VIDEO_SUFFIXES
from emo.errors import ConfigError
from emo.frames import frames_in
from emo.text_files import SAVE, read_text

Cells: TypeAlias = Mapping[str, str]
MISTAKES_SHOWN = 20
OTHER_ENCODING = SAVE.replace(".", ", or try --encoding gb18030.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One clip, and what the data set says of it beyond that: votes, valence, word lists."""

    clip: Clip
    more: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """How a data set is read. `layout` is one line for people; `options` are the values that each option may
    have, the first one holds where nothing is said."""

    layout: str
    read: Callable[[Tree, Mapping[str, str]], Iterable[Row]]
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def chosen(self, given: Mapping[str, str]) -> dict[str, str]:
        """Every option with its value; ConfigError for an option or a value that there is not."""
        mistakes = []
        for name, value in given.items():
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                mistakes.append(f"there is no option {name!r}. Options of this data set: {known}.")
            elif value not in self.options[name]:
                mistakes.append(f"{name}={value}: known are {', '.join(self.options[name])}.")
        if mistakes:
            raise ConfigError(*mistakes)
        return {name: given.get(name, values[0]) for name, values in self.options.items()}


def _nobody_listens(name: str) -> None:
    """For readings that count nothing."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The folder of a data set. `title` and `source` are for messages: its name, and where to get it.

    `columns` says where columns of the manifest come from, for tables of one's own. `pass_over` is told the
    name of each media file that a reader which goes by names can make nothing of.
    """

    root: Path
    title: str
    source: str
    encoding: str = "utf-8"
    columns: Mapping[str, str] = field(default_factory=dict)
    pass_over: Callable[[str], None] = _nobody_listens

    def has(self, name: str) -> bool:
        """Whether there is such a file or folder."""
        return (self.root / name).exists()

    def file(self, *names: str) -> Path:
        """The first of these files that is there; ConfigError names where each was looked for."""
        return self._first(names, "is no file", Path.is_file)

    def folder(self, *names: str) -> Path:
        """The first of these folders that is there; ConfigError names where each was looked for."""
        return self._first(names, "is no folder", Path.is_dir)

    def _first(self, names: Sequence[str], lacks: str, fits: Callable[[Path], bool]) -> Path:
        for name in names:
            if fits(self.root / name):
                return self.root / name
        raise self.missing(*names, lacks=lacks)

    def missing(self, *names: str, lacks: str = "is not there") -> ConfigError:
        """The error for something that should be in the folder."""
        others = f", nor {' or '.join(names[1:])}" if names[1:] else ""
        return ConfigError(
            f"{self.title}: {self.root / names[0]} {lacks}{others}. Is {self.root} its folder? "
            f"The data set is to be had from {self.source}."
        )

    def text(self, path: Path) -> str:
        """All of a text file, strictly in the encoding; ConfigError names the row and the byte."""
        return read_text(path, self.encoding, OTHER_ENCODING)

    def lines(self, path: Path) -> Iterator[tuple[int, str]]:
        """Row numbers from 1 with the lines that are not blank."""
        for number, line in enumerate(self.text(path).splitlines(), start=1):
            if line.strip():
                yield number, line

    def table(self, path: Path, *needed: str) -> list[tuple[int, Cells]]:
        """Rows of a CSV file by number; ConfigError where a column is missing or a row has other cells."""
        reader = csv.DictReader(io.StringIO(self.text(path), newline=""), strict=True)
        header = [name.strip() for name in reader.fieldnames or ()]
        if lacking := [name for name in needed if name not in header]:
            raise ConfigError(
                f"{path}, row 1: there is no column {', '.join(map(repr, lacking))}; there are "
                f"{', '.join(header) or 'none'}."
            )
        reader.fieldnames = header
        rows: list[tuple[int, Cells]] = []
        mistakes = Mistakes()
        try:
            for row in reader:
                if None in row or None in row.values():
                    mistakes.add(path, reader.line_num, f"not the {len(header)} cells of the header.")
                else:
                    rows.append((reader.line_num, {name: cell.strip() for name, cell in row.items()}))
        except csv.Error as error:
            raise ConfigError(f"{path}, row {reader.line_num}: not CSV ({error}).") from error
        mistakes.refuse()
        return rows

    def media(self, *folders: str) -> dict[str, Path]:
        """Media files below these folders, by name without the suffix; video goes before sound."""
        found: dict[str, Path] = {}
        for name in folders:
            for place, below, files in os.walk(self.root / name):
                below.sort()
                for file in sorted(files):
                    stem, suffix = os.path.splitext(file)  # noqa: PTH122 - a Path a file costs ten times that
                    if suffix.lower() not in MEDIA_SUFFIXES or file.startswith("."):
                        continue
                    before = found.get(stem)
                    if before is None or (_is_sound(before.suffix) and not _is_sound(suffix)):
                        found[stem] = Path(place, file)
        return found

    def frames(self, name: str) -> dict[str, Path]:
        """Folders of numbered JPEGs below this folder, by their own names."""
        places = (Path(place) for place, _, _ in os.walk(self.root / name))
        return {place.name: place for place in sorted(places) if frames_in(place)}


class Mistakes:
    """What is wrong with rows, gathered and told at once."""

    def __init__(self) -> None:
        self._told: list[str] = []

    def add(self, path: Path, row: int | str, said: str) -> None:
        """Note what is wrong with a row."""
        self._told.append(f"{path}, row {row}: {said}")

    def number(self, path: Path, row: int | str, name: str, text: str) -> float | None:
        """A finite number of a cell, None of an empty one; what is none is noted."""
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if value - value == 0:
            return value
        self.add(path, row, f"{name} is {text!r}, not a number.")
        return None

    def one_of(self, path: Path, row: int | str, name: str, text: str, known: Iterable[str]) -> bool:
        """Whether a cell is one of what is known; what is not is noted."""
        if text in known:
            return True
        self.add(path, row, f"{name} is {text!r}; known are {', '.join(known)}.")
        return False

    def refuse(self) -> None:
        """ConfigError where something was noted."""
        if self._told:
            more = len(self._told) - MISTAKES_SHOWN
            rest = [f"... and {more} more."] if more > 0 else []
            raise ConfigError(*self._told[:MISTAKES_SHOWN], *rest)


def _is_sound(suffix: str) -> bool:
    return suffix.lower() not in VIDEO_SUFFIXES
