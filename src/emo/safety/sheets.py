"""The first sheet of an .xlsx file as text, read in a limited process: it is a zip of XML from somebody else.

Knows numbers, shared and inline text; formulas are what they last came to. Knows nothing of what the cells
mean.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from emo.errors import ConfigError
from emo.safety.limited import run_limited
from emo.safety.limits import Limits

NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
STRINGS, SHEET = "xl/sharedStrings.xml", "xl/worksheets/sheet1.xml"
MOST_PART = 256 << 20  # bytes of one part, unpacked
LIMITS = Limits(memory_bytes=4 << 30, cpu_seconds=300, wall_seconds=600.0)
OUT = "rows.json"


def read_sheet(path: Path) -> list[list[str]]:
    """Cells by row, "" where there is none. ConfigError where the file is no workbook."""
    with TemporaryDirectory(prefix="emo-sheet-") as scratch:
        run_limited(
            "emo.safety.sheets:unpack",
            {"file": str(path.resolve()), "folder": scratch},
            limits=LIMITS,
            failure=ConfigError,
        )
        rows: list[list[str]] = json.loads((Path(scratch) / OUT).read_text(encoding="utf-8"))
        return rows


def unpack(file: str, folder: str) -> None:
    """In the limited process: the cells as JSON in `folder`."""
    (Path(folder) / OUT).write_text(json.dumps(known_sheet(Path(file))), encoding="utf-8")


def known_sheet(path: Path) -> list[list[str]]:
    """As `read_sheet`, in this process: for bytes of a known digest, in which nothing is hostile."""
    try:
        with zipfile.ZipFile(path) as archive:
            texts = _texts(archive, path.name)
            sheet = ElementTree.fromstring(_part(archive, SHEET, path.name))  # noqa: S314 - see above
        rows = [_cells(row, texts) for row in sheet.iter(NS + "row")]
    except (zipfile.BadZipFile, LookupError, ElementTree.ParseError, OSError, ValueError) as error:
        raise ConfigError(f"{path.name} is no .xlsx workbook: {error}") from error
    width = max((max(cells, default=-1) for cells in rows), default=-1) + 1
    return [[cells.get(column, "") for column in range(width)] for cells in rows]


def _part(archive: zipfile.ZipFile, name: str, workbook: str) -> bytes:
    claimed = archive.getinfo(name).file_size
    if claimed > MOST_PART:
        raise ConfigError(f"{workbook}: {name} claims {claimed} bytes; at most {MOST_PART} are read")
    return archive.read(name)


def _texts(archive: zipfile.ZipFile, workbook: str) -> list[str]:
    if STRINGS not in archive.namelist():
        return []
    root = ElementTree.fromstring(_part(archive, STRINGS, workbook))  # noqa: S314 - see known_sheet
    return ["".join(node.text or "" for node in item.iter(NS + "t")) for item in root.iter(NS + "si")]


def _cells(row: ElementTree.Element, texts: list[str]) -> dict[int, str]:
    found = {}
    for place, cell in enumerate(row.iter(NS + "c")):
        column = _column(cell.get("r", "")) if cell.get("r") else place
        value = cell.find(NS + "v")
        if cell.get("t") == "inlineStr":
            found[column] = "".join(node.text or "" for node in cell.iter(NS + "t"))
        elif value is not None and value.text is not None:
            found[column] = texts[int(value.text)] if cell.get("t") == "s" else value.text
    return found


def _column(reference: str) -> int:
    """0 for A1, 1 for B1, ..., 26 for AA1."""
    number = 0
    for letter in reference:
        if letter.isalpha():
            number = 26 * number + ord(letter.upper()) - ord("A") + 1
    return number - 1
