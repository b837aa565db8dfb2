"""`emo train-head` from a cache and a manifest on disk to a head on disk."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.train_head import label_set, train_head
from emo.corpora import write_manifest
from emo.errors import AmbiguousSpace, CheckpointError, ConfigError
from emo.heads.loader import load_features
from emo.heads.trained import TrainedHead
from emo.labels import DFEW, MER2023
from emo.records import Record
from emo.rights import DataRights

ARGUMENTS = ["--features", "face,voice", "--labels", "neutral,angry,happy,sad", "--epochs", "4"]
SHARED = ["--allow-leak", "speaker"]  # the clips below have half of their speakers in train and in test


@pytest.fixture
def place(kit, tmp_path):
    """A folder with a manifest and a cache of two features; one clip has no face."""
    clips = [
        replace(clip, split="test" if index % 4 == 0 else "train")
        for index, clip in enumerate(kit.clips(60, speakers=10))
    ]
    write_manifest(tmp_path / "manifest.jsonl", clips)
    cache = open_cache(tmp_path / "features.zarr", "a")
    for space in kit.spaces(clips).values():
        with cache.create(space.spec).writer("none") as sink:
            for record in space.records.values():
                lost = space.spec.encoder == "face" and record.clip_id == "clip001"
                sink.put(replace(record, status="missing:no_face", arrays={}) if lost else record)
    return tmp_path


def invoke(place, *arguments: str):
    fixed = ["--manifest", str(place), "--cache", str(place / "features.zarr"), "--out", str(place / "run")]
    return CliRunner().invoke(train_head, [*fixed, *ARGUMENTS, *SHARED, *arguments], catch_exceptions=False)


def test_the_command_prints_one_json_object_with_n_and_an_interval(place):
    result = invoke(place, "--json")
    printed = json.loads(result.stdout)
    assert printed["schema_version"] == 1
    assert printed["clips"]["test"] == 15
    assert printed["clips"]["train"] + printed["clips"]["val"] == 45
    assert printed["result"]["n"] == 15
    low, high = printed["result"]["ci"]
    assert low <= printed["result"]["weighted_f1"] <= high
    assert "held-out speakers" in result.stderr
    assert "5 speakers are in both train and test" in result.stderr


def test_the_command_prints_a_table_with_the_controls(place):
    result = invoke(place, "--controls", "--head", "concat")
    systems = [line.split("|")[1].strip() for line in result.stdout.splitlines()[2:]]
    assert systems == ["concat (test)", "face alone", "voice alone", "features shuffled", "majority class"]


def test_the_written_head_answers_from_the_cache(place):
    invoke(place, "--array", "voice=frames:mean+std")
    head = TrainedHead.load(place / "run")
    cache = open_cache(place / "features.zarr")
    arrays = {name: source.array for name, source in head.sources.items()}
    assert arrays == {"face": "utterance", "voice": "frames:mean+std"}
    batch = load_features({name: cache[name] for name in arrays}, ["clip000", "clip001"], arrays)
    assert batch.masks["face"].tolist() == [True, False]
    predicted = json.loads((place / "run/scores.json").read_text())["predicted"]
    assert head.predict(batch)[0] == predicted["clip000"]
    assert torch.isfinite(head.probabilities(batch)).all()


def test_values_come_out_of_the_cache_as_they_went_in(place, kit):
    cache = open_cache(place / "features.zarr")
    memory = kit.spaces([replace(clip, split="train") for clip in kit.clips(60, speakers=10)])
    ids = ["clip007", "clip000", "clip031"]
    arrays = {"voice": "frames:mean+apex", "face": "utterance"}
    stored = load_features({name: cache[name] for name in arrays}, ids, arrays)
    expected = load_features({name: memory[name] for name in arrays}, ids, arrays)
    for name in arrays:
        assert np.allclose(stored.values[name], expected.values[name], atol=2e-3)  # stored as float16


def test_two_recipes_of_one_encoder_must_be_told_apart(place, kit):
    cache = open_cache(place / "features.zarr", "a")
    other = kit.spec("face", 6, preset="other", recipe={"layer": -2})
    cache.create(other)
    with pytest.raises(AmbiguousSpace):
        invoke(place)


def test_an_array_without_a_name_is_refused(place):
    with pytest.raises(ConfigError, match=r"--array mean: not NAME=ARRAY"):
        invoke(place, "--array", "mean")


def test_labels_are_those_named_or_those_that_fit(kit):
    clips = kit.clips(20)
    assert label_set("dfew", clips) == DFEW
    assert label_set("happy, sad", clips) == ("happy", "sad")
    assert label_set("", clips) == MER2023
    assert label_set("", [replace(clips[0], label="bored"), replace(clips[1], label="awe")]) == (
        "awe",
        "bored",
    )


def test_features_of_damaged_media_are_left_out_unless_they_are_accepted(place):
    cache = open_cache(place / "features.zarr", "a")
    for name in ("face", "voice"):
        space = cache[name]
        arrays = {array: np.asarray(space.read("clip002", array)) for array in space.spec.arrays}
        with space.writer("none") as sink:
            sink.put(Record(clip_id="clip002", arrays=arrays, status="degraded:truncated"))
    assert json.loads(invoke(place, "--json").stdout)["featureless"] == 1
    assert json.loads(invoke(place, "--json", "--accept", "degraded").stdout)["featureless"] == 0


def test_a_sweep_is_told_as_a_table_and_goes_on_where_it_was(place):
    words = ["--sweep", "head=concat,mlp", "--epochs", "2"]
    first = invoke(place, *words)
    assert "val weighted F1" in first.stdout and "Chosen on validation clips: head=" in first.stdout
    second = json.loads(invoke(place, *words, "--json").stdout)
    assert (second["trained"], second["kept"]) == (0, 2)
    assert second["chosen"] in first.stdout
    assert {cell["values"]["head"] for cell in second["cells"]} == {"concat", "mlp"}
    assert TrainedHead.load(place / "run").config.head == second["chosen"].removeprefix("head=")
    assert (place / "run/sweep.md").read_text() == first.stdout


def test_folds_leave_the_test_clips_alone_and_tell_mean_and_deviation(place):
    result = invoke(place, "--folds", "2", "--epochs", "2", "--head", "mlp")
    assert "15 clips are kept for testing by the manifest" in result.stderr
    assert "Mean over 2 folds: weighted F1" in result.stdout
    written = json.loads((place / "run/folds.json").read_text())
    assert len(written["predicted"]) == 45


def test_a_dry_run_tells_parameters_and_writes_nothing(place):
    told = json.loads(
        invoke(place, "--dry-run", "--json", "--sweep", "head=mult,lmf", "--set", "width=8").stdout
    )
    mult, lmf = told["heads"]
    assert mult["reads"]["face"] == {"array": "frames:bins16", "shape": [16, 6]}
    assert lmf["reads"]["face"] == {"array": "utterance", "shape": [6]}
    assert lmf["parameters"] > 0 and not (place / "run").exists()


def test_ratings_come_from_the_manifest(place):
    manifest = place / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for number, row in enumerate(rows):
        row |= {"valence": number % 3 - 1, "votes": {row["label"]: 6, "sad": 4}}
    manifest.write_text("\n".join(map(json.dumps, rows)))
    plain = invoke(place, "--valence", "--soft-labels", "--vat", "0.1", "--epochs", "2")
    assert "MER2023, weighted F1 - 0.25 MSE of the valence, n 15: combined" in plain.stdout
    config = TrainedHead.load(place / "run").config
    assert (config.valence, config.soft_labels, config.vat) == (1.0, True, 0.1)


def test_the_card_inherits_what_the_data_allow(place):
    owned = DataRights(name="theirs", licence="EULA", may_share_features=False, citation="Them 2023")
    open_cache(place / "features.zarr", "a").declare([owned])
    invoke(place, "--epochs", "1")
    card = (place / "run/README.md").read_text()
    assert "Trained on clips under: EULA" in card and owned.sentence in card and "Them 2023" in card
    assert "attention (test)" in card


def test_a_head_of_your_own_trains_from_the_folder_you_are_in(place, monkeypatch):
    monkeypatch.setattr("sys.path", list(sys.path))
    monkeypatch.chdir(Path(__file__).parents[2] / "examples")
    told = json.loads(invoke(place, "--head", "own_head:GatedSum", "--set", "width=8", "--json").stdout)
    assert told["head"] == "own_head:GatedSum"
    with pytest.raises(CheckpointError, match="own_head:GatedSum"):
        TrainedHead.load(place / "run")
    head = TrainedHead.load(place / "run", head="own_head:GatedSum")
    assert head.config.options == {"width": 8.0}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--folds", "2", "--sweep", "lr=1"], "--folds goes with neither"),
        (["--controls", "--sweep", "lr=1"], "--controls are of one head"),
        (["--set", "lr=1,2"], "--set lr=1,2: gives one value"),
        (["--set", "rank=2", "--sweep", "head=lmf,tfn"], "rank: neither a setting nor an option of .* 'tfn'"),
        (["--seed", "-1"], "seed: -1 is out of range"),
        (["--vat", "-1"], "vat: -1 is out of range"),
        (["--head", "nowhere:Head"], "'nowhere:Head' cannot be imported"),
        (["--folds", "11"], "10 speakers, 10 of them apart .* do not make 11 folds"),
        (["--valence"], "none of .* clips has a valence"),
    ],
)
def test_what_makes_no_sense_is_refused(place, words, said, monkeypatch):
    monkeypatch.setattr("sys.path", list(sys.path))
    with pytest.raises(ConfigError, match=said):
        invoke(place, *words)
    assert not (place / "run").exists()
