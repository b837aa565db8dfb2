"""The leak guard finds what of a test was in training, and asks before it goes on."""

import re

import pytest

from emo.corpora.comparison import catalogue
from emo.errors import CheckpointError, ConfigError
from emo.evaluation.leaks import find_leaks, overlaps, refuse_leaks
from emo.rights import DataRights
from emo.run_clips import write_run_clips
from emo.run_data import RunData, SeenClip, copy_run_data, read_run_data, write_run_data


def seen(clip_id, dataset="", split="", **more):
    return SeenClip(clip_id, dataset, split, **more)


def kinds(train, test):
    return {kind: dict(held) for kind, held in find_leaks(train, test).found.items()}


def test_clips_that_share_nothing_do_not_leak():
    train = [seen("a", "dfew", sha256="1", speaker="x", group="g")]
    test = [seen("b", "dfew", sha256="2", speaker="y", group="h"), seen("c")]
    assert kinds(train, test) == {}


def test_equal_media_is_found_whatever_the_clips_are_called():
    assert kinds([seen("a", "dfew", sha256="1")], [seen("b", "mafw", sha256="1")]) == {"media": {"b": "a"}}
    assert kinds([seen("a", sha256="")], [seen("b", sha256="")]) == {}


def test_equal_ids_leak_within_one_data_set_and_where_the_data_set_is_not_named():
    assert kinds([seen("1", "dfew")], [seen("1", "dfew")]) == {"id": {"1": "1"}}
    assert kinds([seen("1", "dfew")], [seen("1", "mafw")]) == {}
    assert kinds([seen("1", "dfew")], [seen("1")]) == {"id": {"1": "1"}}
    assert kinds([seen("1")], [seen("1", "mafw")]) == {"id": {"1": "1"}}


def test_an_id_that_two_folders_of_ones_own_happen_to_give_is_no_leak_where_the_media_differ():
    assert kinds([seen("1", sha256="a")], [seen("1", sha256="b")]) == {}
    assert kinds([seen("1", sha256="a")], [seen("1", sha256="")]) == {"id": {"1": "1"}}
    again = [seen("1", "dfew", sha256="a")], [seen("1", "dfew", sha256="b")]  # encoded again
    assert kinds(*again) == {"id": {"1": "1"}}


def test_speakers_and_recordings_are_those_of_one_data_set():
    train = [seen("a", "meld", speaker="Joey", group="d1")]
    test = [seen("b", "meld", speaker="Joey", group="d2"), seen("c", "iemocap", speaker="Joey", group="d1")]
    assert kinds(train, test) == {"speaker": {"b": "Joey"}}
    assert kinds(train, [seen("b", "meld", group="d1")]) == {"group": {"b": "d1"}}
    assert kinds([seen("a", speaker="s1")], [seen("b", "own", speaker="s1")]) == {"speaker": {"b": "s1"}}


def test_the_years_of_mer_call_a_clip_by_one_name():
    train = [seen("mer2024/sample_00000007", "mer2024", "train")]
    test = [seen("sample_00000007", "mer2023", "test1"), seen("sample_00000008", "mer2023", "test1")]
    found = find_leaks(train, test)
    assert found.found == {"id": {"sample_00000007": "mer2024/sample_00000007"}}
    assert any("2404.17113" in line for line in found.lines())
    unnamed = {"id": {"sample_00000007": "mer2024/sample_00000007"}}  # a manifest that names no data set
    assert kinds(train, [seen("sample_00000007")]) == unnamed


def test_where_ids_were_changed_a_data_set_that_contains_the_test_is_told():
    train = [seen("clip 1", "mer2024", "train")]
    test = [seen("sample_00000007", "mer2023", "test2"), seen("samplenew3_00000001", "mer2024", "noise")]
    assert kinds(train, test) == {"dataset": {"sample_00000007": "in mer2024"}}
    renamed = [seen("x", "mer2023", "test")]
    assert kinds([seen("sample_00000001", "mer2024", "train")], renamed) == {"dataset": {"x": "in mer2024"}}


def test_merr_and_the_semi_test_share_a_pool_and_ids_decide():
    train = [seen("samplenew_00000001", "merr-fine", "train")]
    semi = [seen("samplenew_00000001", "mer2023", "test3"), seen("samplenew_00000002", "mer2023", "test3")]
    found = find_leaks(train, semi)
    assert found.found == {"id": {"samplenew_00000001": "samplenew_00000001"}}
    assert any("Emotion-LLaMA issue 71" in line for line in found.lines())
    assert kinds([seen("one", "merr-fine", "train")], semi) == {
        "dataset": {clip.clip_id: "maybe in merr-fine" for clip in semi}
    }
    assert kinds([seen("video_0001_0001", "ch-sims-v2")], [seen("video_0002_0001", "ch-sims", "test")]) == {
        "dataset": {"video_0002_0001": "in ch-sims-v2"}
    }


def test_the_table_names_data_sets_of_the_catalogue_and_sources():
    known = {one.key for one in catalogue()}
    table = overlaps()
    for row in table.overlaps:
        assert {row.train, row.test} <= known and row.test_splits and len(row.source) > 20
    for space in table.namespaces:
        assert set(space.datasets) <= known and re.compile(space.id) and space.source


def test_training_goes_on_only_where_every_kind_is_allowed():
    leaks = find_leaks([seen("a", speaker="x")], [seen("a", speaker="x"), seen("b", speaker="x")])
    with pytest.raises(ConfigError) as refused:
        refuse_leaks(leaks, "")
    assert refused.value.mistakes[0].startswith(
        "leak (id): 1 of 2 test clips are training clips by their id: a = a"
    )
    assert "--allow-leak id,speaker" in refused.value.mistakes[-1]
    with pytest.raises(ConfigError, match=r"--allow-leak id$"):
        refuse_leaks(leaks, "speaker")
    refuse_leaks(leaks, "speaker,id")
    refuse_leaks(leaks, "all")
    with pytest.raises(ConfigError, match="--allow-leak speakers: known are media"):
        refuse_leaks(leaks, "speakers")


def test_what_a_run_saw_stays_beside_it_and_its_stages_and_copies(tmp_path):
    run = RunData((DataRights(name="dfew", licence="EULA"),), (seen("a", "dfew", "train", sha256="1"),))
    write_run_data(tmp_path, run)
    (tmp_path / "coarse").mkdir()
    assert read_run_data(tmp_path) == read_run_data(tmp_path / "coarse") == run
    copy = tmp_path / "elsewhere" / "copy"
    copy.mkdir(parents=True)
    copy_run_data(tmp_path / "coarse", copy)
    assert read_run_data(copy) == run
    assert run.joined(run) == run
    (copy / "data.json").write_text('{"data": 3}')
    with pytest.raises(CheckpointError, match="copy it again"):
        read_run_data(copy)


def test_runs_of_before_are_known_by_their_ids(tmp_path):
    folder = tmp_path / "runs" / "old"
    folder.mkdir(parents=True)
    write_run_clips(folder, {"train": ["a"], "val": ["b"], "test": ["c"]})
    assert [clip.clip_id for clip in read_run_data(folder).clips] == ["a", "b"]
