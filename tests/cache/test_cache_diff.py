"""diff: the same features are the same, a changed one is named with how far it is off."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cache.diff import compare
from emo.cli.cache import cache as command


@pytest.fixture
def pair(tmp_path, make_spec, make_records, fill):
    """Two caches of other recipes: in the second, clip 1 points the other way and clip 2 is longer."""
    records = make_records(6)
    changed = list(records)
    changed[1] = replace(records[1], arrays={name: -values for name, values in records[1].arrays.items()})
    changed[2] = replace(
        records[2], arrays=records[2].arrays | {"frames": np.vstack([records[2].arrays["frames"][:1]] * 40)}
    )
    spaces = []
    for name, held in (("a", records), ("b", changed[:5])):
        space = open_cache(tmp_path / f"{name}.zarr", "a").create(make_spec(recipe={"layer": name}))
        fill(space, held)
        spaces.append(space)
    return spaces


def test_each_clip_in_both_is_compared(pair):
    found = {(each.clip_id, each.array): each for each in compare(*pair)}
    assert len(found) == 5 * 3
    same = found["clip/000 é", "frames"]
    assert (same.max_abs, round(same.cosine, 12)) == (0.0, 1.0)
    turned = found["clip/001 é", "utterance"]
    values = pair[0].read("clip/001 é", "utterance")
    assert turned.cosine == pytest.approx(-1.0)
    assert turned.max_abs == pytest.approx(2 * np.abs(values).max())
    longer = found["clip/002 é", "frames"]
    assert math.isnan(longer.cosine)
    assert longer.rows[1] == 40 != longer.rows[0]


def test_the_command_tells_the_worst(pair):
    paths = [str(space.paths.cache.root) for space in pair]
    said = CliRunner().invoke(command, ["diff", *paths])
    assert said.exit_code == 0
    assert "least cosine -1.000000" in said.output
    assert "and 40 rows" in said.output
    result = CliRunner().invoke(command, ["diff", *paths, "--encoder", "hubert", "--json"])
    assert len(json.loads(result.output)["spaces"]["hubert"]) == 15
