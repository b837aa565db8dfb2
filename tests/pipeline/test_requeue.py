"""Flipped bytes and back: verify names clip and file, requeue marks them, extract redoes just those."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.pipeline import loop
from emo.pipeline.extract import extract

HARMED = (("hubert", "a", "frames"), ("hubert", "c2", "utterance"), ("eva", "mute", "tokens"))


@pytest.fixture
def verify(tmp_path):
    def verify(*arguments, code):
        command_line = ["cache", "verify", "--cache", str(tmp_path / "f.zarr"), "--json", *arguments]
        result = CliRunner().invoke(command, command_line)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    return verify


def test_damaged_features_are_named_requeued_and_encoded_again(folder, tmp_path, verify, monkeypatch):
    for number in range(4):
        (folder / f"c{number}.mp4").write_bytes((folder / "a.mp4").read_bytes() + bytes(number + 1))

    def run():
        return extract(folder, ("hubert", "eva"), tmp_path / "f.zarr", preset="tiny", jobs=1)

    run()
    cache = open_cache(tmp_path / "f.zarr")
    before = {
        (space.name, clip_id, array): space.read(clip_id, array)
        for space in cache.spaces()
        for clip_id in space
        for array in space[clip_id].names
    }
    harmed = {}
    for encoder, clip_id, array in HARMED:
        space = cache[encoder]
        geometry, place = space.geometry(array), space.index.place(space.index.current[clip_id], array)
        file = space.reader(array).path_of(place)
        with file.open("r+b") as stream:
            stream.seek(place.start % geometry.shard_rows * geometry.row_bytes)
            stream.write(b"\xa5\x5a")
        harmed[encoder, clip_id] = str(file)

    found = verify(code=4)
    assert {(bad["encoder"], bad["clip_id"]): bad["file"] for bad in found["bad"]} == harmed
    assert found["requeued"] == []
    assert run().stored == 0  # an extraction alone does not read what is stored
    assert sorted(map(tuple, verify("--requeue", code=3)["requeued"])) == sorted(harmed)
    assert verify(code=0)["bad"] == []

    encoded, encode = [], loop.records_of

    def noted(part, readings):
        encoded.extend((part.encoder.spec.encoder, reading.clip.clip_id) for reading in readings)
        return encode(part, readings)

    monkeypatch.setattr(loop, "records_of", noted)
    again = run()
    assert sorted(encoded) == sorted(harmed)
    assert (again.stored, len(again.failed)) == (3, 1)
    for (name, clip_id, array), values in before.items():
        np.testing.assert_array_equal(open_cache(tmp_path / "f.zarr")[name].read(clip_id, array), values)
    assert run().stored == 0
    assert verify("--requeue", code=0)["requeued"] == []
