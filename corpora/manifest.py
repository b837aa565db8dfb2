"""Manifests: the list of clips with their labels, as JSON lines or CSV, and folders without one.

Text is UTF-8 or what the caller says; an encoding is never guessed, an id never invented for a row that
repeats one. Opens no media file: whether a clip can be read shows when its features are extracted.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from functools import cache
from math import inf
from pathlib import Path

from emo.canonical import Json
from emo.clip import REGIONS, Clip, Region, normal_id
from emo.errors import ConfigError
from emo.text_files import SAVE, read_text

COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Clip))
_KNOWN = frozenset(COLUMNS)
PATHS = ("path", "au_path", "faces_path")
MANIFEST_NAMES = ("manifest.jsonl", "manifest.csv")
VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".mpg", ".mpeg")
MEDIA_SUFFIXES = frozenset({*VIDEO_SUFFIXES, ".wav", ".mp3", ".flac", ".m4a", ".aac", ".ogg"})
STORES = (".zarr", ".journal")  # folders of features may lie among clips; they hold thousands of files
MISTAKES_SHOWN = 20
OTHER_ENCODING = SAVE.replace(".", ", or give its encoding, for example gb18030.")
MOST_PEOPLE = 8  # as many as are followed in a clip


def read_manifest(path: str | os.PathLike[str], *, encoding: str = "utf-8") -> list[Clip]:
    """Clips of a .jsonl or .csv manifest, in its order.

    Columns are the fields of Clip; `path` is needed, others may be missing or empty; columns that mean
    nothing here are passed over. Relative paths start at the manifest's folder. A row without `clip_id`
    is named by its path, with `#left-half` where it names a region and `#1` where it names a person.
    ConfigError lists the rows that are wrong: ids that repeat, values that are no numbers, column names a
    letter off, bytes that are not in `encoding`.

    >>> [clip.speaker for clip in emo.read_manifest("clips.csv")][:3]
    ['anna', 'anna', 'bo']
    """
    path = Path(path)
    clips: list[Clip] = []
    mistakes: list[str] = []
    first_row: dict[str, int] = {}
    places = _Places(path.parent)
    for number, row in _rows(path, encoding):
        if isinstance(row, str):
            mistakes.append(f"{path}, row {number}: {row}")
            continue
        try:
            clip = _clip(row, places)
        except ConfigError as error:
            mistakes += [f"{path}, row {number}: {mistake}" for mistake in error.mistakes]
            continue
        before = first_row.setdefault(clip.clip_id, number)
        if before != number:
            mistakes.append(
                f"{path}: rows {before} and {number} have the same id {clip.clip_id!r}. Rename one."
            )
        clips.append(clip)
    if mistakes:
        more = len(mistakes) - MISTAKES_SHOWN
        raise ConfigError(*mistakes[:MISTAKES_SHOWN], *([f"... and {more} more."] if more > 0 else []))
    return clips


def manifest_rows(path: Path) -> list[Mapping[str, Json]]:
    """The rows of a manifest that `read_manifest` takes, as they stand there."""
    return [row for _, row in _rows(path, "utf-8") if not isinstance(row, str)]


def write_manifest(path: Path, clips: Iterable[Clip]) -> None:
    """Write `clips` as JSON lines in UTF-8; paths become relative to the manifest's folder."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="\n") as stream:
        for clip in clips:
            stream.write(json.dumps(manifest_row(clip, path.parent), ensure_ascii=False) + "\n")
    partial.replace(path)


def manifest_row(clip: Clip, folder: Path) -> dict[str, Json]:
    """The row of a clip in a manifest that lies in `folder`: what is known of it, paths relative to there."""
    row = {name: getattr(clip, name) for name in COLUMNS}
    for name in PATHS:
        if row[name] is not None:
            row[name] = Path(os.path.relpath(row[name], folder)).as_posix()
    return {name: value for name, value in row.items() if value not in (None, "")}


def clips_in(place: Path, *, encoding: str = "utf-8") -> tuple[list[Clip], int]:
    """Clips of a folder, a manifest or a single media file, and how many files were passed over.

    A folder with a manifest.jsonl or manifest.csv is what that says. In any other folder every media file
    is a clip; its id is the path below the folder without the suffix, or with it where two files differ
    in nothing else. Hidden folders and feature stores are left alone. ConfigError where there is nothing
    at `place`.
    """
    if place.is_dir():
        manifest = manifest_in(place)
        return (read_manifest(manifest, encoding=encoding), 0) if manifest != place else _walked(place)
    refuse_missing(place)
    if place.suffix.lower() in (".jsonl", ".csv"):
        return read_manifest(place, encoding=encoding), 0
    return [Clip(clip_id=place.stem, path=place)], 0


def refuse_missing(place: Path) -> None:
    """ConfigError where there is nothing at `place`."""
    if not place.exists():
        raise ConfigError(f"{place} does not exist. Name a folder of clips, a manifest or a media file.")


def manifest_in(place: Path) -> Path:
    """The manifest in the folder `place`; `place` itself where it is no folder or has none."""
    held = [place / name for name in MANIFEST_NAMES if (place / name).is_file()]
    return held[0] if held else place


def manifest_of(place: Path) -> Path:
    """As `manifest_in`; ConfigError where `place` is a folder without a manifest."""
    found = manifest_in(place)
    if found.is_dir():
        raise ConfigError(
            f"{place}: a folder without {' or '.join(MANIFEST_NAMES)}. Name the file with the labels."
        )
    return found


def _walked(folder: Path) -> tuple[list[Clip], int]:
    found: list[Path] = []
    ignored = 0
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not name.endswith(STORES)
        )
        media = [name for name in names if Path(name).suffix.lower() in MEDIA_SUFFIXES and name[0] != "."]
        found += [Path(root) / name for name in media]
        ignored += len(names) - len(media)
    found.sort(key=lambda path: path.relative_to(folder).as_posix())
    whole = [path.relative_to(folder).as_posix() for path in found]
    short = [normal_id(path.relative_to(folder).with_suffix("").as_posix()) for path in found]
    count = Counter(short)
    ids = [brief if count[brief] == 1 else full for brief, full in zip(short, whole, strict=True)]
    twice = [name for name, times in Counter(normal_id(name) for name in ids).items() if times > 1]
    if twice:
        raise ConfigError(*(f"{folder}: several files are called {name!r}. Rename one." for name in twice))
    return [Clip(clip_id=name, path=path) for name, path in zip(ids, found, strict=True)], ignored


def _rows(path: Path, encoding: str) -> Iterator[tuple[int, Mapping[str, Json] | str]]:
    text = read_text(path, encoding, OTHER_ENCODING)
    return _csv_rows(path, text) if path.suffix.lower() == ".csv" else _json_rows(text)


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, Json] | str]]:
    """Row numbers from 1 with their objects, or with what is wrong with them."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            yield number, f"not JSON ({error}). One object a line is expected."
            continue
        yield number, row if isinstance(row, dict) else 'not a JSON object. Write {"path": ...}.'


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Json] | str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if header and "path" not in header and not _letters_off(tuple(header)):
            raise ConfigError(_no_path(path, header))
        for cells in reader:
            if len(cells) == len(header):
                yield reader.line_num, dict(zip(header, cells, strict=True))
            elif cells:
                yield reader.line_num, f"does not have the {len(header)} cells of the header."
    except csv.Error as error:
        raise ConfigError(f"{path}, row {reader.line_num}: not CSV ({error}).") from error


def _no_path(path: Path, header: Sequence[str]) -> str:
    """What is said of a table without the one column that is needed."""
    if len(header) == 1 and (other := next((mark for mark in ";\t|" if mark in header[0]), "")):
        return f"{path}: its cells are divided by {other!r}. Save it with commas."
    return (
        f"{path}: no column is called `path`; there are {', '.join(header)}. Call the one with the media "
        f"files so; others that are read are {', '.join(name for name in COLUMNS if name != 'path')}."
    )


class _Places(dict[str, Path]):
    """The file that a cell names, by the cell: made once, however many clips are cut from it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, cell: str) -> Path:
        return self.setdefault(cell, self._folder / cell)


def _clip(row: Mapping[str, Json], places: _Places) -> Clip:
    mistakes = list(_letters_off(tuple(row)))
    values = _cells(row, mistakes)
    start, end = _seconds(values, "start", mistakes), _seconds(values, "end", mistakes)
    if start is not None and end is not None and end <= start:
        mistakes.append(f"end {end} is not after start {start}.")
    person = _person(values.get("person"), mistakes)
    region = _region(values.get("region"), mistakes)
    path, au_path, faces_path = values.get("path"), values.get("au_path"), values.get("faces_path")
    if not path:
        mistakes.append("path is missing. Name the media file.")
    if mistakes or not path:
        raise ConfigError(*mistakes)
    return Clip(
        clip_id=values.get("clip_id")
        or Path(path).with_suffix("").as_posix() + "".join(f"#{part}" for part in (region, person) if part),
        path=places[path],
        start=start,
        end=end,
        text=values.get("text", ""),
        label=values.get("label") or None,
        speaker=values.get("speaker") or None,
        split=values.get("split") or None,
        dataset=values.get("dataset") or None,
        group=values.get("group") or None,
        au_path=places[au_path] if au_path else None,
        person=person,
        faces_path=places[faces_path] if faces_path else None,
        region=region,
    )


def _cells(row: Mapping[str, Json], mistakes: list[str]) -> dict[str, str]:
    """What stands in the columns that mean something, without the space around it."""
    values: dict[str, str] = {}
    for name, value in row.items():
        if name not in _KNOWN:
            continue
        if isinstance(value, str):
            values[name] = value.strip() if name != "text" else value
            if "\0" in value and name in PATHS:
                mistakes.append(f"{name} has a zero character.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            values[name] = str(value)
        elif value is not None:
            mistakes.append(f"{name} is {json.dumps(value)}, not text or a number.")
    return values


@cache  # rows of one manifest have few different sets of columns
def _letters_off(names: tuple[str, ...]) -> tuple[str, ...]:
    """What is wrong with names that are nearly those of columns."""
    return tuple(
        f"column {name!r} is unknown; did you mean {close[0]!r}?"
        for name in names
        if name not in COLUMNS and (close := get_close_matches(name, COLUMNS, n=1, cutoff=0.75))
    )


def _person(value: str | None, mistakes: list[str]) -> int | None:
    if not value:
        return None
    if value.isascii() and value.isdigit() and 1 <= int(value) <= MOST_PEOPLE:
        return int(value)
    mistakes.append(f"person is {value!r}, not a number from 1 (the leftmost) to {MOST_PEOPLE}.")
    return None


def _region(value: str | None, mistakes: list[str]) -> Region | None:
    found = next((region for region in REGIONS if region == value), None)
    if value and found is None:
        mistakes.append(f"region is {value!r}, not {' or '.join(REGIONS)}.")
    return found


def _seconds(values: Mapping[str, str], name: str, mistakes: list[str]) -> float | None:
    value = values.get(name)
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds < inf:
        return seconds
    mistakes.append(f"{name} is {value!r}, not a number of seconds from 0 up.")
    return None
