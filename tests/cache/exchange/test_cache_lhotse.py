"""lhotse loads what is exported for it, and finds the values, words and speakers of the cache."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cache.exchange.lhotse import export_lhotse
from emo.cli.cache import cache as command
from emo.clip import Clip
from emo.corpora import write_manifest
from emo.records import Record
from emo.testing import tone, write_clip


@pytest.fixture
def filled(space, path, make_records, fill):
    fill(space, make_records(9))
    uneven = {"frames": {"times": [0.0, 0.1, 0.7]}}
    values = {"frames": np.ones((3, 6), np.float32)}
    fill(space, [Record(clip_id="uneven", arrays=values, meta=uneven)])
    return open_cache(path)["hubert"]


@pytest.fixture
def clips(filled, tmp_path):
    write_clip(tmp_path / "a.wav", None, tone(1.5))
    ids = [clip_id for clip_id in filled if clip_id != "uneven"]
    said = [
        Clip(
            clip_id=one, path=tmp_path / "a.wav", start=0.25, text="no wonder", speaker="anna", label="happy"
        )
        for one in ids
    ]
    return [*said, Clip(clip_id="elsewhere", path=tmp_path / "b.mp4")]


def test_every_line_is_of_a_clip_with_evenly_spaced_frames(filled, clips, tmp_path):
    written = list(export_lhotse([filled], tmp_path / "out", clips))
    even = [one for one in filled if one != "uneven" and len(filled[one].mask) > 1]
    assert [line.partition(" ")[2] for line in written] == even
    lines = (tmp_path / "out" / "supervisions.jsonl").read_text().splitlines()
    assert "elsewhere" not in {json.loads(line)["id"] for line in lines}


def test_lhotse_loads_checks_and_cuts_it(filled, clips, tmp_path):
    lhotse = pytest.importorskip("lhotse", reason="lhotse is not installed")
    list(export_lhotse([filled], tmp_path / "out", clips))
    features = lhotse.FeatureSet.from_file(next(iter((tmp_path / "out").glob("features-*.jsonl")))).to_eager()
    supervisions = lhotse.SupervisionSet.from_file(tmp_path / "out" / "supervisions.jsonl").to_eager()
    recordings = lhotse.RecordingSet.from_file(tmp_path / "out" / "recordings.jsonl").to_eager()
    for one in features:
        lhotse.validate(one, read_data=True)
        np.testing.assert_array_equal(one.load(), filled.read(one.recording_id, "frames").astype(np.float32))
    for one in recordings:
        lhotse.validate(one)
    cuts = lhotse.CutSet.from_manifests(features=features, supervisions=supervisions)
    said = [cut.supervisions[0] for cut in cuts if cut.supervisions]
    assert said and {one.speaker for one in said} == {"anna"}
    assert {one.custom["label"] for one in said} == {"happy"}


def test_it_is_a_command(filled, clips, path, tmp_path):
    write_manifest(tmp_path / "m.jsonl", clips)
    words = [
        "export",
        "lhotse",
        tmp_path / "out",
        "--manifest",
        tmp_path / "m.jsonl",
        "--cache",
        path,
        "--json",
    ]
    done = CliRunner().invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    (left,) = told["left_out"].values()
    assert told["records"] > 3 and left >= 1 and told["records"] + left == len(filled)
    assert (tmp_path / "out" / "recordings.jsonl").read_text().count("\n") == len(clips) - 1
