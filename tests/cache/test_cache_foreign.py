"""A reader of under 60 lines that follows the format page and knows no emo and no Zarr reads every record."""

import ast
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from emo.cache import open_cache
from emo.records import Record
from emo.spec import ArrayLayout

READER = Path(__file__).with_name("foreign_reader.py")
GOLDEN = Path(__file__).parent / "golden" / "format-1.tar.xz"


def read_foreign(path, tmp_path):
    """{(space, clip id): status} and {(space, clip id, array): rows} as the reader finds them."""
    out = tmp_path / "foreign.npz"
    done = subprocess.run([sys.executable, READER, path, out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed, *values = np.load(out).values()
    listed, values = json.loads(str(listed)), iter(values)
    statuses = {(space, clip_id): status for space, clip_id, status, _, _ in listed}
    return statuses, {(space, clip, array): next(values) for space, clip, _, array, has in listed if has}


def read_own(path):
    spaces = open_cache(path).spaces()
    statuses = {
        (space.name, clip_id): info.status for space in spaces for clip_id, info in space.infos().items()
    }
    rows = {
        (space.name, clip_id, array): space.read(clip_id, array)
        for space in spaces
        for clip_id, info in space.infos().items()
        for array in info.arrays
    }
    return statuses, rows


def assert_same(path, tmp_path):
    (foreign_statuses, foreign), (statuses, own) = read_foreign(path, tmp_path), read_own(path)
    assert foreign_statuses == statuses
    assert list(foreign) == list(own)
    for key, values in own.items():
        np.testing.assert_array_equal(foreign[key].reshape(values.shape), values)
        assert foreign[key].dtype == values.dtype
    return len(own)


def test_the_reader_is_short_and_knows_nothing_of_ours():
    source = READER.read_text()
    code = [line for line in source.splitlines() if line.strip()]
    assert len(code) < 60
    imports = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imports == {"json", "sys", "pathlib", "numpy", "numcodecs"}
    page = (Path(__file__).parents[2] / "docs" / "cache-format.md").read_text(encoding="utf-8")
    assert re.search(r"tests/cache/foreign_reader\.py", page)


def test_it_reads_every_record_of_the_golden_cache(tmp_path):
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(tmp_path / "golden", filter="data")
    (folder,) = (tmp_path / "golden").iterdir()
    assert assert_same(folder, tmp_path) == 9


def test_it_reads_two_spaces_replaced_records_and_bfloat16(
    path, space, fill, make_records, make_spec, tmp_path
):
    layouts = {"frames": ArrayLayout(kind="frames", dim=4, dtype="bfloat16")}
    other = open_cache(path, "a").create(make_spec("mae", arrays=layouts))
    fill(other, [Record(clip_id="x", arrays={"frames": np.linspace(-2, 3, 28).reshape(7, 4)})])
    fill(space, make_records(30))
    fill(space, make_records(5, seed=2))
    assert assert_same(path, tmp_path) == 1 + 3 * 26


@pytest.mark.parametrize("name", ["frames/c/0/0", "status/c/0"])
def test_it_notices_a_changed_byte(path, space, fill, make_records, tmp_path, name):
    fill(space, make_records(6))
    file = path / space.name / name
    data = bytearray(file.read_bytes())
    data[9] ^= 1
    file.write_bytes(data)
    with pytest.raises(AssertionError, match=name.partition("/")[0]):
        read_foreign(path, tmp_path)
