"""Mistakes of the command line end with 2 and say what to do, before anything is loaded.

`mistakes.txt` holds the usual ones with what is said of each; `mistakes.py` writes it again.
"""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from emo.cli import device_option
from emo.cli.device_option import refuse_absent, refuse_bits
from emo.cli.main import emo, exit_code
from emo.errors import ConfigError, MissingDependency
from emo.extractors.running import Running, running_on
from emo.pipeline.systems import load_system

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


def test_an_apple_gpu_is_taken_where_there_is_one_and_told_where_not(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    refuse_absent("mps")
    assert running_on("mps") == Running("mps", "float32")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for asked in (refuse_absent, running_on):
        with pytest.raises(ConfigError, match="needs an Apple GPU"):
            asked("mps")


def test_nothing_is_trained_on_an_apple_gpu():
    code, said = failed("train-llm", "--base", "b", "--device", "mps")
    assert code == 2
    assert "none of cpu, cuda, cuda:N." in said


def test_few_bits_need_their_library_and_a_card_and_a_llama(monkeypatch, tmp_path):
    refuse_bits(16, "cpu")
    monkeypatch.setattr(device_option, "find_spec", lambda _: None)
    labelled = tmp_path / "m.csv"
    labelled.write_text("clip_id,path,label,split\na,a.mp4,sad,test\n")
    _, said = failed("evaluate", "--model", "m", "--manifest", str(labelled), "--bits", "4")
    assert "pip install 'emo-toolkit[lowbit]'" in said
    with pytest.raises(MissingDependency) as absent:
        refuse_bits(8, "cuda")
    assert exit_code(absent.value) == 8
    monkeypatch.setattr(device_option, "find_spec", lambda name: name)
    refuse_bits(4, "cuda:1")
    for device in ("cpu", "mps"):
        with pytest.raises(ConfigError, match="needs --device cuda"):
            refuse_bits(4, device)
    (tmp_path / "head.json").write_text("{}")
    with pytest.raises(ConfigError, match="has no LLaMA that could be of 4 bits"):
        load_system(tmp_path, bits=4)


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
