"""emo robustness, typed: the same clips with worse features, under the recipes that the model knows."""

import json

import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.errors import CacheMiss, ConfigError
from emo.extractors import make_encoder
from emo.extractors.augment import Augmented, parse_augmentation
from emo.records import Record


@pytest.fixture(scope="module")
def head(study):
    words = ["--cache", str(study / "f.zarr"), "--manifest", str(study), "--out", str(study / "head")]
    ran = CliRunner().invoke(
        command, ["-q", "train-head", *words, "--features", "hubert,mae", "--epochs", "30"]
    )
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return study / "head"


def typed(study, head, *words):
    where = ["--model", str(head), "--manifest", str(study), "--cache", str(study / "f.zarr")]
    return CliRunner().invoke(command, ["-q", "robustness", *where, *words])


def test_every_view_of_the_cache_and_every_feature_dropped_is_scored(study, head, tmp_path):
    ran = typed(study, head, "--out", str(tmp_path / "out"), "--json")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    told = json.loads(ran.stdout)
    names = ["as it is", "blur@4px", "noise@0dB", "without hubert", "without mae"]
    assert list(told["pooled"]) == names
    assert [told["pooled"][name]["views"] for name in names[:3]] == [[], ["mae"], ["hubert"]]
    assert {one["n"] for one in told["pooled"].values()} == {16}
    clean = told["pooled"]["as it is"]["weighted_f1"]
    for name, gain in told["gains"].items():
        assert gain["difference"] == pytest.approx(told["pooled"][name]["weighted_f1"] - clean)
        assert gain["ci"][0] <= gain["ci"][1]
    assert min(gain["difference"] for gain in told["gains"].values()) < 0
    saved = json.loads((tmp_path / "out/robustness.json").read_text())
    assert saved["pooled"] == told["pooled"]
    assert "without hubert" in (tmp_path / "out/robustness.md").read_text()
    assert (tmp_path / "out/robustness.png").read_bytes().startswith(b"\x89PNG")
    evaluated = ["evaluate", "--model", str(head), "--manifest", str(study), "--cache", str(study / "f.zarr")]
    plain = json.loads(CliRunner().invoke(command, ["-q", *evaluated, "--json"]).stdout)
    assert plain["weighted_f1"] == clean


def test_a_view_that_is_not_there_or_not_of_every_clip_is_no_dropped_feature(study, head):
    absent = typed(study, head, "--views", "noise@10dB")
    assert isinstance(absent.exception, CacheMiss)
    assert "emo extract --encoder hubert,mae --views noise@10dB" in str(absent.exception)
    assert isinstance(typed(study, head, "--views", "fog").exception, ConfigError)
    parent = make_encoder("hubert", preset="tiny")
    spec = Augmented(parent, parse_augmentation("noise@5dB")).spec
    cache = open_cache(study / "f.zarr", "a")
    with cache.create(spec).writer("none") as sink:
        plain = cache.space(parent.spec)
        arrays = {name: plain.read_many(["c0"], name)[0] for name in spec.arrays}
        sink.put(Record(clip_id="c0", arrays=arrays))
    few = typed(study, head, "--views", "noise@5dB")
    assert isinstance(few.exception, CacheMiss)
    assert "16 of 16 clips were not extracted under noise@5dB" in str(few.exception)
