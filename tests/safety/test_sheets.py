"""Workbooks of somebody else: what is in them comes out as text, and what is wrong with them is told."""

import zipfile

import pytest

from emo.errors import ConfigError
from emo.safety.sheets import MOST_PART, SHEET, STRINGS, known_sheet, read_sheet

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def workbook(path, rows, strings="<si><t>one</t></si><si><r><t>t</t></r><r><t>wo</t></r></si>"):
    """A file with these rows of cells and this table of shared text."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if strings is not None:
            archive.writestr(STRINGS, f"<sst {MAIN}>{strings}</sst>")
        archive.writestr(SHEET, f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>")
    return path


def test_shared_inline_and_plain_cells_stand_where_they_say(tmp_path):
    rows = (
        '<row><c r="A1" t="s"><v>1</v></c><c r="C1"><v>2.5</v></c></row>'
        '<row><c r="B2" t="inlineStr"><is><t>in</t></is></c><c r="AA2" t="s"><v>0</v></c></row>'
    )
    path = workbook(tmp_path / "a.xlsx", rows)
    found = read_sheet(path)
    assert (found[0][:3], found[1][:3], found[1][26]) == (["two", "", "2.5"], ["", "in", ""], "one")
    assert {len(row) for row in found} == {27}
    assert known_sheet(path) == found
    assert read_sheet(workbook(tmp_path / "b.xlsx", "", strings=None)) == []


@pytest.mark.parametrize(
    "rows",
    [
        '<row><c r="A1" t="s"><v>7</v></c></row>',
        '<row><c r="A1" t="s"><v>one</v></c></row>',
        "<row><c></row>",
    ],
    ids=["text that there is not", "text without a number", "no XML"],
)
def test_a_sheet_that_makes_no_sense_is_refused(tmp_path, rows):
    with pytest.raises(ConfigError, match=r"a\.xlsx"):
        read_sheet(workbook(tmp_path / "a.xlsx", rows))


def test_what_is_no_workbook_or_claims_to_be_huge_is_refused(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK\3\4 no zip")
    with pytest.raises(ConfigError, match=r"a\.xlsx is no \.xlsx workbook"):
        read_sheet(tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("other.xml", "<a/>")
    with pytest.raises(ConfigError, match=r"b\.xlsx is no \.xlsx workbook"):
        read_sheet(tmp_path / "b.xlsx")
    with zipfile.ZipFile(tmp_path / "c.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(SHEET, b" " * (MOST_PART + 1))
    with pytest.raises(ConfigError, match=r"c\.xlsx: .* claims"):
        read_sheet(tmp_path / "c.xlsx")


def test_entities_that_grow_without_end_are_refused(tmp_path):
    grown = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 12))
    sheet = (
        f'<!DOCTYPE x [<!ENTITY e0 "haha">{grown}]><worksheet {MAIN}><sheetData>&e11;</sheetData></worksheet>'
    )
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr(SHEET, sheet)
    with pytest.raises(ConfigError, match=r"a\.xlsx"):
        read_sheet(tmp_path / "a.xlsx")
