"""MERR JSON and lists of clips: the sets and labels that a stage may ask for."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from emo.clip import Clip
from emo.errors import ConfigError
from emo.pipeline.clip_lists import named_lists, read_list
from emo.pipeline.merr_texts import read_texts, with_known_labels


def clip(name, label=None):
    return Clip(clip_id=name, path=Path(f"{name}.mp4"), label=label)


@pytest.fixture
def folder(tmp_path):
    coarse = {"a": {"pseu_emotion": "sad", "caption": "Lips pressed."}, "b": {"pseu_emotion": "happy"}}
    fine = {"b": {"smp_reason_caption": "So happy."}}
    (tmp_path / "MERR_coarse_grained.json").write_text(json.dumps(coarse))
    (tmp_path / "MERR_fine_grained.json").write_text(json.dumps(fine))
    return tmp_path


def test_clips_belong_to_the_files_that_know_them(folder):
    clips = [clip("a"), clip("b", "happy"), clip("c", "angry"), clip("d")]
    sets = [text.sets for text in read_texts(folder, clips)]
    assert sets == [("coarse",), ("coarse", "fine", "labelled"), ("labelled",), ()]


@pytest.mark.parametrize(
    "line",
    [
        "a 83 happy -10",
        "a 83 happy",
        "a happy",
        "a,83,happy,-1.5",
        "a\thappy",
    ],
)
def test_the_label_is_found_in_every_shape_of_line(tmp_path, line):
    (tmp_path / "list.txt").write_text(f"{line}\n\nb\n")
    assert read_list(tmp_path / "list.txt") == {"a": "happy", "b": ""}


def test_every_wrong_line_is_named(tmp_path):
    (tmp_path / "list.txt").write_text("a 1 happy 2 3\na sad\na angry\n")
    with pytest.raises(ConfigError) as caught:
        read_list(tmp_path / "list.txt")
    assert [mistake.split(":")[0][-6:] for mistake in caught.value.mistakes] == ["line 1", "line 3"]


def test_a_list_gives_membership_and_labels_beside_the_manifests(folder):
    (folder / "pseudo.txt").write_text("a 10 worried\nc\nelsewhere 3 happy\n")
    texts = read_texts(folder, [clip("a"), clip("b"), clip("c", "angry")], {"pseudo": folder / "pseudo.txt"})
    assert [text.list_labels for text in texts] == [{"pseudo": "worried"}, {}, {}]
    assert ["pseudo" in text.sets for text in texts] == [True, False, True]
    assert [text.label for text in texts] == ["sad", "happy", "angry"]


def test_a_list_of_other_clips_is_refused(folder):
    (folder / "pseudo.txt").write_text("x 10 worried\n")
    with pytest.raises(ConfigError, match=r"none of its 1 clips is in the manifest, the first: x"):
        read_texts(folder, [clip("a")], {"pseudo": folder / "pseudo.txt"})


def test_clips_without_a_label_are_split_under_the_one_that_is_known(folder):
    (folder / "pseudo.txt").write_text("d 10 worried\n")
    clips = [clip("a"), clip("c", "angry"), clip("d"), clip("e")]
    texts = read_texts(folder, clips, {"pseudo": folder / "pseudo.txt"})
    known = with_known_labels(clips, texts)
    assert [one.label for one in known] == ["sad", "angry", "worried", None]
    assert known[0] == replace(clips[0], label="sad")


def test_lists_are_named_once_and_not_like_a_set_that_is_there_already():
    assert named_lists(["pseudo=a=b.txt"]) == {"pseudo": Path("a=b.txt")}
    with pytest.raises(ConfigError) as caught:
        named_lists(["fine=a.txt", "pseudo", "x=1", "x=2"])
    assert len(caught.value.mistakes) == 3
