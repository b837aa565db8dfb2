"""Mistakes of the command line end with 2 and say what to do, before anything is loaded.

`mistakes.txt` holds the usual ones with what is said of each; `mistakes.py` writes it again.
"""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from emo.cli.device_option import refuse_absent
from emo.cli.main import emo
from emo.errors import ConfigError

HERE = Path(__file__).parent
SNAPSHOT = (HERE / "mistakes.txt").read_text()
TYPED = [tuple(block.split("\n", 1)) for block in SNAPSHOT.split("$ ")[1:]]


@pytest.fixture(scope="module")
def mistakes():
    where = importlib.util.spec_from_file_location("mistakes", HERE / "mistakes.py")
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def desk(mistakes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    mistakes.lay_out(folder)
    return folder


@pytest.mark.parametrize(("line", "said"), TYPED, ids=[line for line, _ in TYPED])
def test_a_usual_mistake_is_told_with_what_to_do_next(line, said, desk, mistakes, monkeypatch):
    monkeypatch.chdir(desk)
    monkeypatch.setenv("XDG_CACHE_HOME", str(desk / ".cache"))
    monkeypatch.setenv("COLUMNS", mistakes.WIDTH)
    found = mistakes.told(line, desk)
    assert found.strip() == said.strip()
    assert found.endswith("-> 2\n")
    assert "Traceback" not in found


def failed(*words):
    result = CliRunner().invoke(emo, list(words))
    return result.exit_code, result.output + str(result.exception)


@pytest.fixture
def media(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "one.mp4").touch()
    return str(tmp_path / "clips")


@pytest.mark.parametrize("verb", ["train-llm", "predict", "evaluate", "calibrate"])
def test_a_device_that_is_none_is_a_usage_error(verb, media):
    words = [verb, "--device", "gpu", *(["--model", media] if verb != "train-llm" else [])]
    code, said = failed(*words, *([media] if verb == "predict" else []))
    assert code == 2
    assert "cuda:N" in said


def test_a_card_that_is_not_here_is_told_with_what_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    refuse_absent("cuda")
    refuse_absent("cuda:0")
    with pytest.raises(ConfigError, match="needs 2 CUDA cards; PyTorch sees 1"):
        refuse_absent("cuda:1")
    with pytest.raises(ConfigError, match="needs 4 CUDA cards; PyTorch sees 1"):
        refuse_absent("cuda", cards=4)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match="sees none"):
        refuse_absent("cuda")
    refuse_absent("cpu", cards=4)


@pytest.mark.parametrize("verb", ["train-llm", "evaluate", "calibrate", "llm tiny-base"])
def test_a_folder_without_labels_is_told_with_its_number_of_clips(verb, media):
    more = {"train-llm": ["--base", "b"], "llm tiny-base": []}.get(verb, ["--model", "m"])
    _, said = failed(*verb.split(), "--manifest", media, *more)
    assert "1 clips, none of them with a label" in said
    assert "--manifest" in said


def test_an_unknown_split_is_told_with_those_that_are_there(tmp_path):
    rows = [
        {"clip_id": name, "path": "x.mp4", "label": "sad", "split": split}
        for name, split in (("a", "train"), ("b", "test"))
    ]
    manifest = tmp_path / "clips.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, said = failed("evaluate", "--manifest", str(manifest), "--model", "m", "--split", "tset")
    assert "Splits: test, train" in said


def test_a_merr_folder_without_its_files_is_no_silent_run_without_texts(tmp_path):
    _, said = failed("train-llm", "--base", "b", "--merr", str(tmp_path))
    assert "MERR_coarse_grained.json" in said
