"""A real full disk: exit 5 with need and have, nothing lost, and on with it once there is room."""

import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from emo.cache import open_cache
from emo.records import Record
from emo.spec import ArrayLayout

RECORDS, ROWS = 300, 200  # of 256 float16 values: 30 MB

SCRIPT = """
    mount -t tmpfs -o size=20m tmpfs "$disk" || exit 99
    head -c 8M /dev/zero > "$disk/ballast"
    emo() {{ "{python}" -m emo "$@"; }}
    emo cache merge "$source" --into "$disk/f.zarr"; echo "first $?"
    emo cache verify --cache "$disk/f.zarr" --json; echo "full $?"
    rm "$disk/ballast"
    emo cache merge "$source" --into "$disk/f.zarr"; echo "second $?"
    emo cache verify --cache "$disk/f.zarr" --json; echo "fuller $?"
    mount -o remount,size=100m "$disk"
    emo cache merge "$source" --into "$disk/f.zarr"; echo "third $?"
    emo cache verify --cache "$disk/f.zarr" --json; echo "whole $?"
    emo cache diff "$source" "$disk/f.zarr"; echo "diff $?"
"""


@pytest.fixture
def user_namespace():
    tried = subprocess.run(["unshare", "-rm", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no user namespaces here: {tried.stderr.strip()}")


def test_a_full_disk_loses_nothing_and_the_run_goes_on(tmp_path, make_spec, fill, user_namespace):
    spec = make_spec(arrays={"frames": ArrayLayout(kind="frames", dim=256)})
    source = open_cache(tmp_path / "source.zarr", "a").create(spec, shard_bytes=1 << 22)
    rng = np.random.default_rng(0)
    fill(
        source,
        [
            Record(
                clip_id=f"c{number}",
                arrays={"frames": rng.normal(size=(ROWS, 256))},
                input_sha256=rng.bytes(32),
            )
            for number in range(RECORDS)
        ],
    )
    (tmp_path / "disk").mkdir()
    script = textwrap.dedent(SCRIPT.format(python=sys.executable))
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", f"source={tmp_path}/source.zarr disk={tmp_path}/disk\n{script}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "first" not in done.stdout:
        pytest.skip(f"no tmpfs in a user namespace here: {done.stderr.strip()}")
    codes = dict(
        re.findall(r"^(first|full|second|fuller|third|whole|diff) (\d+)$", done.stdout, re.MULTILINE)
    )
    assert codes == {
        "first": "5",
        "full": "0",
        "second": "5",
        "fuller": "0",
        "third": "0",
        "whole": "0",
        "diff": "0",
    }, done.stderr
    told = re.findall(r"(\d+) bytes of features must be written, (\d+) bytes are free", done.stderr)
    assert len(told) == 2
    assert all(int(need) >= 2 * 256 * ROWS for need, _ in told)
    safe = [int(count) for count in re.findall(r"\((\d+) records of this run\)", done.stderr)]
    held = [int(count) for count in re.findall(r'"records": (\d+)', done.stdout)]
    assert held[0] >= safe[0] > 0
    assert held[1] >= held[0] + safe[1] > held[0]
    assert held[2] == RECORDS
    assert f"{RECORDS} arrays compared" in done.stdout
    assert "largest difference 0" in done.stdout
