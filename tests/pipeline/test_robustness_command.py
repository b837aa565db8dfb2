"""emo robustness, typed: the same clips with worse features, under the recipes that the model knows."""

import json

import pytest
import torch
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.corpora import clips_in
from emo.errors import CacheMiss, ConfigError
from emo.extractors import make_encoder
from emo.extractors.augment import Augmented, parse_augmentation
from emo.heads.loader import load_features
from emo.pipeline.answers import Answer
from emo.pipeline.predict import spaces_of
from emo.pipeline.robustness import CLEAN, Condition, conditions, under_conditions
from emo.pipeline.systems import load_system
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


def test_evaluate_scores_a_model_by_declared_group(study, head, tmp_path):
    rows = [{"clip_id": f"c{n}", "skin": f"{'lighter' if n < 64 else 'darker'}"} for n in range(56, 72)]
    (tmp_path / "groups.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["evaluate", "--model", str(head), "--manifest", str(study), "--cache", str(study / "f.zarr")]
    words += ["--group", "skin", "--group-file", str(tmp_path / "groups.jsonl")]
    ran = CliRunner().invoke(command, ["-q", *words, "--out", str(tmp_path / "out"), "--json"])
    assert ran.exit_code == 0, (ran.output, ran.exception)
    told = json.loads(ran.stdout)["groups"]
    assert {name: one["n"] for name, one in told["groups"].items()} == {"lighter": 8, "darker": 8}
    values = [one["value"] for one in told["groups"].values()]
    assert told["worst_gap"]["value"] == pytest.approx(max(values) - min(values))
    assert "By skin" in (tmp_path / "out/report.html").read_text()
    assert "worst gap" in CliRunner().invoke(command, ["-q", *words]).stdout
    missing = CliRunner().invoke(command, ["-q", *words[:-4], "--group", "skin"])
    assert isinstance(missing.exception, ConfigError)
    assert "no column for groups: looked for skin" in str(missing.exception)


class Seen:
    """A system that remembers what it is given and says `happy`."""

    def __init__(self, of):
        self.labels, self.arrays, self.given = of.labels, of.arrays, []

    def answers(self, clips, batch, *, reasons=True):
        self.given.append(batch)
        for clip in clips:
            yield Answer(clip_id=clip.clip_id, label="happy", probabilities={})


def test_a_condition_changes_its_features_and_nothing_else(study, head):
    system = load_system(head)
    cache = open_cache(study / "f.zarr")
    spaces = spaces_of(system, cache)
    clips = [clip for clip in clips_in(study)[0] if clip.split == "test"]
    seen = Seen(system)
    chosen = [
        one
        for one in conditions(seen, cache, spaces, ["noise@0dB"])
        if one.name in (CLEAN, "noise@0dB", "without mae")
    ]
    assert [one.name for one in chosen] == [CLEAN, "noise@0dB", "without mae"]
    told = under_conditions(seen, clips, spaces, chosen)
    assert {one.change.clusters for one in told[1:]} == {len({clip.speaker for clip in clips})}
    clean, noisy, without = seen.given
    worse = load_features({"hubert": chosen[1].views["hubert"]}, clean.clip_ids, system.arrays)
    assert torch.equal(noisy.values["hubert"], worse.values["hubert"])
    assert not torch.equal(noisy.values["hubert"], clean.values["hubert"])
    assert noisy.sources == clean.sources  # the model knows the clean recipe and would refuse the other
    assert torch.equal(noisy.values["mae"], clean.values["mae"])
    assert not without.masks["mae"].any()
    assert without.masks["hubert"].all()
    assert clean.masks["mae"].all()


def test_a_clip_that_gave_nothing_under_a_view_lacks_the_feature(study, head, tmp_path):
    system = load_system(head)
    spaces = spaces_of(system, open_cache(study / "f.zarr"))
    clips = [clip for clip in clips_in(study)[0] if clip.split == "test"]
    spec = Augmented(make_encoder("hubert", preset="tiny"), parse_augmentation("noise@0dB")).spec
    worse = open_cache(tmp_path / "f.zarr", "a").create(spec)
    with worse.writer("none") as sink:
        sink.put(Record(clip_id=clips[0].clip_id, status="missing:no_audio", reason="silence"))
        for clip in clips[1:]:
            arrays = {name: spaces["hubert"].read_many([clip.clip_id], name)[0] for name in spec.arrays}
            sink.put(Record(clip_id=clip.clip_id, arrays=arrays))
    view = Condition(name="noise@0dB", views={"hubert": worse})
    seen = Seen(system)
    under_conditions(seen, clips, spaces, [Condition(name=CLEAN, views={}), view])
    clean, noisy = seen.given
    assert clean.masks["hubert"].all()
    assert noisy.masks["hubert"].tolist() == [False] + [True] * (len(clips) - 1)
