"""Every exit code of docs/exit-codes.md by a command that ends with it; a traceback only where asked for."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emo.cli.main import main
from emo.testing import tone, write_clip

PAGE = Path(__file__).parent.parent.parent / "docs" / "exit-codes.md"
HERE = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 75, 130}


@pytest.fixture
def ended(capsys, monkeypatch, study):
    """The code that a typed command ends with, and what it said on stderr; run in the folder of the study."""
    monkeypatch.chdir(study)

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return left.value.code, said.err

    return run


@pytest.fixture
def copy(study, tmp_path):
    """A cache of one's own to damage."""
    shutil.copytree(study / "features.zarr", tmp_path / "f.zarr")
    return tmp_path / "f.zarr"


def test_the_page_names_the_codes_that_are_tested_here():
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.MULTILINE)} == HERE


def test_0_done(ended):
    assert ended("cache", "verify")[0] == 0


def test_1_a_bug_is_told_as_one_and_shows_its_place_only_with_vv(ended, capsys, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("nothing to divide by")

    monkeypatch.setattr("emo.cache.describe.cache_info", broken)
    code, said = ended("cache", "info")
    assert code == 1
    assert "This is a bug in emo. `emo -vv ...` shows where." in said
    with pytest.raises(SystemExit):
        main(["-vv", "cache", "info"])
    assert "Traceback" in capsys.readouterr().err


def test_2_a_setting_is_wrong(ended):
    code, said = ended("extract", "nowhere", "--preset", "tiny")
    assert code == 2 and "nowhere does not exist" in said


def test_3_some_clips_failed(ended, tmp_path):
    write_clip(tmp_path / "whole.wav", None, tone(0.3))
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    words = ["--encoder", "hubert", "--preset", "tiny", "--jobs", "1", "--cache", tmp_path / "f.zarr"]
    assert ended("extract", tmp_path, *words)[0] == 3


def test_4_the_cache_is_damaged(ended, copy):
    (shard,) = (file for file in copy.glob("hubert/*/utterance/c/0/0"))
    data = bytearray(shard.read_bytes())
    data[0] ^= 1
    shard.write_bytes(data)
    assert ended("cache", "verify", "--cache", copy)[0] == 4


def test_5_no_space(ended, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))  # a disk that is full
    words = ["--encoder", "hubert", "--preset", "tiny", "--jobs", "1", "--cache", tmp_path / "f.zarr"]
    code, said = ended("extract", "clips", *words)
    assert code == 5 and "No space left" in said


def test_6_features_by_another_recipe(ended, study, tmp_path):
    shutil.copytree(study / "runs/head", tmp_path / "head")
    card = tmp_path / "head/head.json"
    told = json.loads(card.read_text())
    for feature in told["features"].values():
        feature["spec"]["recipe_version"] += 1  # as a release with other preprocessing would write
    card.write_text(json.dumps(told))
    assert ended("predict", "clips/clip1.wav", "--model", tmp_path / "head", "--jobs", "1")[0] == 6


def test_7_training_met_what_is_no_number(ended, tmp_path):
    words = ["--features", "hubert", "--manifest", "clips.csv", "--out", tmp_path / "run"]
    assert ended("train-head", *words, "--set", "lr=1e30", "--epochs", "5")[0] == 7


def test_8_a_package_is_missing(ended, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    code, said = ended("cache", "export", "parquet", tmp_path / "out")
    assert code == 8 and "pip install" in said


def test_9_a_licence_forbids_it(ended, tmp_path):
    assert ended("corpus", "fetch", "ravdess", "--out", tmp_path)[0] == 9


def test_75_a_signal_asked_it_to_stop(ended, monkeypatch):
    def interrupted(*_):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("emo.cache.describe.cache_info", interrupted)
    code, said = ended("cache", "info")
    assert code == 75 and "Run the same command to go on" in said


def test_130_a_second_ctrl_c_ends_it_at_once():
    code = (
        "import signal\n"
        "from emo.cli import main\n"
        "def twice(*_):\n"
        "    try:\n        signal.raise_signal(signal.SIGINT)\n"
        "    finally:\n        signal.raise_signal(signal.SIGINT)\n"
        "main.emo.invoke = twice\n"
        "main.main(['cache', 'info'])\n"
    )
    shell = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, code]
    assert subprocess.run(shell, capture_output=True, check=False).returncode == 130
