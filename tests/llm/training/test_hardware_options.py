"""`emo train-llm --dry-run` writes nothing; `--gpus 2` trains, speaks with one voice, stops and goes on."""

import json
import signal

import pytest
from click.testing import CliRunner

from emo.cli.train_llm import train_llm
from emo.errors import ConfigError
from emo.llm.checkpoint import load_checkpoint


def dry_run(place, *more):
    fixed = ["--recipe", "recipe.yaml", "--base", "base", "--out", "planned", "--dry-run"]
    before = sorted(place.rglob("*"))
    result = CliRunner().invoke(train_llm, [*fixed, *more], catch_exceptions=False)
    assert sorted(place.rglob("*")) == before
    return result


def test_a_dry_run_tells_and_writes_nothing(place, monkeypatch):
    monkeypatch.chdir(place)
    found = json.loads(dry_run(place, "--json", "--gpus", "2").stdout)
    assert [stage["name"] for stage in found["stages"]] == ["coarse", "fine"]
    assert found["ranks"] == 2
    assert found["parameters"]["lora"] == 4 * 2 * (32 + 32 + 32 + 16)
    assert all(stage["useful"] == 1.0 and stage["seconds"] > 0 for stage in found["stages"])
    told = dry_run(place).stdout
    assert "memory a rank" in told
    assert "times assume 1 x 40% of" in told


def test_a_dry_run_needs_no_weights(place, monkeypatch):
    monkeypatch.chdir(place)
    weights = place / "base/model.safetensors"
    weights.rename(place / "elsewhere")
    try:
        assert "trained: " in dry_run(place).stdout
    finally:
        (place / "elsewhere").rename(weights)


def test_contradictions_are_told_before_anything_is_read():
    with pytest.raises(ConfigError, match="needs device cuda"):
        CliRunner().invoke(train_llm, ["--bits", "4", "--base", "x"], catch_exceptions=False)


@pytest.mark.soak
def test_two_ranks_stop_at_a_signal_and_go_on(command, tmp_path):
    out = tmp_path / "run"
    arguments = ["--gpus", "2", "--stage", "coarse"]
    process = command.start(out, *arguments)
    command.wait_for_rows(process, out, 3)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 75, stderr[-3000:]
    assert json.loads((out / "run.json").read_text())["status"] == "stopped"
    process = command.start(out, *arguments)
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr[-3000:]
    assert json.loads(stdout)["stages"].keys() == {"coarse"}
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["event"] == "StepDone"] == list(range(1, 25))
    assert load_checkpoint(out).card.trained.keys() == {"coarse"}
