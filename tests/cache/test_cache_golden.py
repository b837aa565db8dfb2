"""Caches that earlier releases wrote are still read, and the format page says how to read them."""

import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache, verify_cache
from emo.cache.format import stamped
from emo.cli.main import emo, exit_code
from emo.digests import sha256_file
from emo.errors import FormatError
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

GOLDEN = Path(__file__).parent / "golden"
DOCS = Path(__file__).parents[2] / "docs" / "cache-format.md"

SPEC = FeatureSpec(
    encoder="golden",
    weights={"model": "0123456789abcdef" * 4},
    recipe={"layer": 9, "rate": 16000},
    recipe_version=3,
    preset="tiny",
    arrays={
        "frames": ArrayLayout(kind="frames", dim=4),
        "tokens": ArrayLayout(kind="tokens", dim=2, tokens=3, dtype="bfloat16"),
        "utterance": ArrayLayout(kind="utterance", dim=4, dtype="float32"),
    },
)


def golden_records():
    """The records of the golden cache: no random numbers, so that no library's generator decides."""

    def record(number, clip_id):
        base = np.arange(1, 1 + 4 * (3 + number)).reshape(-1, 4)
        arrays = {"frames": base / 8, "tokens": np.arange(1, 7).reshape(3, 2) * 0.5, "utterance": base[0] / 3}
        return Record(
            clip_id=clip_id,
            arrays={name: values.astype(np.float32) for name, values in arrays.items()},
            input_sha256=bytes([number]) * 32,
            meta={"frames": {"t0": 0.0, "dt": 0.02}},
        )

    faceless = Record(clip_id="b", status="missing:no_face", reason="0 of 16", input_sha256=bytes([9]) * 32)
    return [record(1, "clip1"), faceless, record(2, "größe/2"), record(30, "c"), record(4, "clip1")]


@pytest.fixture(params=sorted(GOLDEN.glob("*.tar.xz")), ids=lambda path: path.name)
def golden(request, tmp_path):
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    return folder


DIGESTS = {"format-1.tar.xz": "8b6ad6b08a83c076b276a6a88a88aa831229ac4546473969723cd14ed2051ed8"}


def test_golden_caches_are_the_files_that_were_written_and_are_never_made_anew():
    """A new format gets a file of its own beside these; whoever changes one of these breaks a promise."""
    assert {path.name: sha256_file(path) for path in GOLDEN.iterdir()} == DIGESTS


@pytest.mark.parametrize("number", [0, 2, 99, "1"])
def test_another_format_is_refused_and_nothing_is_changed(golden, number):
    root = golden / "zarr.json"
    document = json.loads(root.read_text())
    attributes = document["attributes"] | {"emo:format": number}
    del attributes["emo:crc32c"]
    root.write_bytes(stamped(document | {"attributes": attributes}))
    before = {path: path.read_bytes() for path in golden.rglob("*") if path.is_file()}
    for look in (open_cache, lambda path: open_cache(path, "a"), verify_cache):
        with pytest.raises(FormatError, match=rf"format {number}; this release reads format 1"):
            look(golden)
    result = CliRunner().invoke(emo, ["cache", "info", "--cache", str(golden)])
    assert exit_code(result.exception) == 2
    assert before == {path: path.read_bytes() for path in golden.rglob("*") if path.is_file()}


def test_a_golden_cache_reads_as_it_was_written(golden):
    space = open_cache(golden)["golden@tiny"]
    assert space.spec == SPEC
    current = {record.clip_id: record for record in golden_records()}
    assert {clip_id: info.status for clip_id, info in space.infos().items()} == {
        clip_id: record.status for clip_id, record in current.items()
    }
    for clip_id, record in current.items():
        assert space.info(clip_id).input_sha256 == record.input_sha256
        for name, values in record.arrays.items():
            np.testing.assert_array_equal(space.read(clip_id, name), values)
    assert space.read_canary()["frames"].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert verify_cache(golden).to_json() == {"records": 4, "share": 1.0, "bad": [], "orphans": []}


def test_a_golden_cache_can_be_added_to(golden):
    with open_cache(golden, "a").create(SPEC).writer("none") as writer:
        writer.put(Record(clip_id="new", arrays={"utterance": np.ones(4)}))
    assert open_cache(golden)["golden"].read("new", "utterance").tolist() == [1, 1, 1, 1]
    assert verify_cache(golden).records == 5


def test_the_recipe_of_the_format_page_reads_a_record(golden):
    (recipe,) = re.findall(r"```python\n(.+?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    here = recipe.replace("features.zarr", str(golden)).replace('["hubert"]', '["golden"]')
    here = here.replace("0fbca8536f4b8b7b", SPEC.short)
    found = {}
    exec(compile(here, str(DOCS), "exec"), found)
    np.testing.assert_array_equal(found["frames"], golden_records()[-1].arrays["frames"])
