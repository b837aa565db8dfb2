"""Several ranks: the loss curve and the weights of one process, one writer, one decision, one exit code."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from emo.config.hardware import HardwareConfig
from emo.errors import ConfigError
from emo.llm.sharding import laid_out_as, whole
from emo.llm.training.distributed import ALONE, Crew, Turn, assembled
from emo.llm.training.events import Resumed
from emo.llm.training.launch import run_as_ranks

SCRIPT = Path(__file__).with_name("two_ranks.py")
FILES = ("adapter_model.safetensors", "projectors.safetensors")


@pytest.fixture(scope="module")
def script():
    where = importlib.util.spec_from_file_location("two_ranks", SCRIPT)
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def place(tokenizer, script, tmp_path_factory):
    """Runs of one process (`one`) and of two, from the same base."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("ranks")
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.15,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(shape).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    script.train(folder / "base", folder / "one", HardwareConfig())
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone"]
    result = subprocess.run(
        [*command, "--nproc-per-node", "2", str(SCRIPT), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return folder


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_two_ranks_have_the_loss_curve_of_one_process(place, strategy):
    alone, together = rows(place / "one"), rows(place / strategy)
    assert [row["event"] for row in together] == [row["event"] for row in alone]
    for here, there in zip(alone, together, strict=True):
        numbers = {key: value for key, value in here.items() if isinstance(value, float)}
        assert {key: there[key] for key in numbers} == pytest.approx(numbers, rel=1e-5)
        assert there | numbers == here


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_two_ranks_save_every_slice_of_every_tensor(place, strategy):
    for file in FILES:
        alone, together = (load_file(place / run / file) for run in ("one", strategy))
        assert together.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(together[name], value, atol=1e-5, rtol=1e-5)


def test_a_nan_on_one_rank_refuses_the_step_on_all(place):
    steps = [row for row in rows(place / "nan") if row["event"] == "StepDone"]
    refused = [row for row in steps if row["refused"]]
    assert 0 < len(refused) < len(steps)
    assert all("clip3" in row["refused"] and row["loss"] is None for row in refused)
    tensors = [load_file(place / "nan" / file) for file in FILES]
    assert all(value.isfinite().all() for file in tensors for value in file.values())


def test_a_signal_to_one_rank_stops_all_and_one_process_goes_on(place, script):
    assert json.loads((place / "stopped/run.json").read_text())["status"] == "stopped"
    assert len([row for row in rows(place / "stopped") if row["event"] == "StepDone"]) == 2
    _, resumed, *_ = script.train(place / "base", place / "stopped", HardwareConfig())
    assert isinstance(resumed, Resumed)
    assert any("ranks was 2 before and is 1 now" in note for note in resumed.notes)
    losses = [
        [row["loss"] for row in rows(place / run) if row["event"] == "StepDone"] for run in ("one", "stopped")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_every_micro_batch_is_run_once_and_sliced_ranks_call_alike():
    lengths = [9, 1, 5, 5, 3, 2, 7]
    crews = [Crew(rank, 3, sliced=True) for rank in range(3)]
    turns = [crew.share(len(lengths), lambda: lengths) for crew in crews]
    counted = [turn.number for each in turns for turn in each if turn.counts]
    assert sorted(counted) == list(range(7))
    assert len({len(each) for each in turns}) == 1
    assert sum(not turn.counts for each in turns for turn in each) == 3 * len(turns[0]) - 7


def test_a_rank_without_a_micro_batch_still_calls_the_layers():
    assert Crew(1, 2, sliced=True).share(1, lambda: [4]) == [Turn(0, counts=False)]
    assert Crew(1, 2).share(1, lambda: [4]) == []
    assert ALONE.share(2, list) == [Turn(0), Turn(1)]


def test_plain_tensors_are_whole_already():
    tensor = torch.ones(3)
    assert whole(tensor) is tensor
    assert laid_out_as(torch.zeros(3), tensor) is tensor


def test_ranks_that_nobody_started_are_refused():
    with pytest.raises(ConfigError, match="emo train-llm --gpus 2"), assembled(HardwareConfig(gpus=2)):
        pass


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["train-llm", "--gpus", "2", "--bits", "4"], 2),
        pytest.param(["--version"], 0, marks=pytest.mark.soak),
    ],
)
def test_the_exit_code_of_a_rank_is_that_of_the_command(arguments, code):
    assert run_as_ranks(arguments, 2) == code


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"gpus": 2, "device": "cuda:1"}, "give device cuda"),
        ({"bits": 4}, "needs device cuda"),
        ({"bits": 3, "device": "cuda"}, "4, 8 or 16"),
        ({"bits": 8, "device": "cuda", "strategy": "fsdp2"}, "strategy ddp"),
        ({"compile": True}, "gains nothing on cpu"),
        ({"gpus": 0}, "1 or more"),
    ],
)
def test_settings_that_do_not_go_together_are_named(settings, told):
    with pytest.raises(ConfigError, match=told):
        HardwareConfig(**settings)
    with pytest.raises(ConfigError, match=told):
        replace(HardwareConfig(device="cuda"), **{"device": "cpu", **settings})
