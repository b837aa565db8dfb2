"""One's own clips from a table of one's own: CSV with a header, or JSON lines.

`columns` says where a column of the manifest comes from: `label=emotion` takes a column,
`path=films/{name}.mp4` puts cells into a text. Columns of the table that are called as the manifest's are
taken as they are; all others are left out unless named, so `age=age` keeps one. Paths start at the table's
folder. The table is the folder's only .csv or .jsonl, or is named itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from emo.canonical import Json
from emo.clip import REGIONS, Clip
from emo.corpora.datasets.reading import Cells, Mistakes, Reader, Row, Tree
from emo.corpora.manifest import COLUMNS, PATHS
from emo.errors import ConfigError

SUFFIXES = (".csv", ".jsonl")
CELL = re.compile(r"\{([^{}]*)\}")


def _read(tree: Tree, _: Mapping[str, str]) -> Iterator[Row]:
    path = _table(tree)
    rows = tree.table(path) if path.suffix.lower() == ".csv" else _objects(tree, path)
    header = list(dict.fromkeys(name for _, row in rows for name in row))
    _refuse_unknown(tree.columns, header, path)
    sources = {name: name for name in COLUMNS if name in header} | dict(tree.columns)
    mistakes = Mistakes()
    for number, row in rows:
        cells = {target: _filled(source, row) for target, source in sources.items()}
        if not cells.get("path"):
            mistakes.add(path, number, "no path. Say where it comes from: --column path=films/{name}.mp4")
            continue
        try:
            clip = _clip(path, number, cells, mistakes)
        except ConfigError as error:
            mistakes.add(path, number, str(error))
            continue
        more: dict[str, Json] = {name: cell for name, cell in cells.items() if name not in COLUMNS and cell}
        yield Row(clip=clip, more=more)
    mistakes.refuse()


def _table(tree: Tree) -> Path:
    if tree.root.is_file():
        return tree.root
    found = sorted(path for path in tree.root.iterdir() if path.suffix.lower() in SUFFIXES)
    if len(found) != 1:
        listed = ", ".join(path.name for path in found) or "none"
        raise ConfigError(f"{tree.root}: one .csv or .jsonl is needed, there are: {listed}. Name the file.")
    return found[0]


def _objects(tree: Tree, path: Path) -> list[tuple[int, Cells]]:
    rows: list[tuple[int, Cells]] = []
    mistakes = Mistakes()
    for number, line in tree.lines(path):
        try:
            held = json.loads(line)
        except ValueError as error:
            mistakes.add(path, number, f"not JSON ({error}). One object a line is expected.")
            continue
        if not isinstance(held, dict):
            mistakes.add(path, number, "not a JSON object.")
            continue
        rows.append((number, {name: _text(value) for name, value in held.items()}))
    mistakes.refuse()
    return rows


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _refuse_unknown(columns: Mapping[str, str], header: list[str], path: Path) -> None:
    mistakes = [
        f"--column {target}={source}: {path} has no column {name!r}; it has {', '.join(header)}."
        for target, source in columns.items()
        for name in (CELL.findall(source) if "{" in source else [source])
        if name not in header
    ]
    if mistakes:
        raise ConfigError(*mistakes)


def _filled(source: str, row: Cells) -> str:
    if "{" not in source:
        return row.get(source, "")
    return CELL.sub(lambda cell: row.get(cell[1], ""), source)


def _clip(path: Path, number: int, cells: Cells, mistakes: Mistakes) -> Clip:
    start, end, person = (
        mistakes.number(path, number, name, cells.get(name, "")) for name in ("start", "end", "person")
    )
    told = cells.get("region", "")
    if told:
        mistakes.one_of(path, number, "region", told, REGIONS)
    places = {name: path.parent / cells[name] if cells.get(name) else None for name in PATHS}
    return Clip(
        clip_id=cells.get("clip_id") or Path(cells["path"]).with_suffix("").as_posix(),
        path=path.parent / cells["path"],
        start=start,
        end=end,
        text=cells.get("text", ""),
        label=cells.get("label") or None,
        speaker=cells.get("speaker") or None,
        split=cells.get("split") or None,
        group=cells.get("group") or None,
        au_path=places["au_path"],
        person=None if person is None else int(person),
        faces_path=places["faces_path"],
        region=next((region for region in REGIONS if region == told), None),
    )


READER = Reader(layout="a .csv or .jsonl, with --column NAME=COLUMN", read=_read)
