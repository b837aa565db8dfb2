"""`emo train-llm` as a process: signals end it with 75 and its work saved, SIGKILL loses nothing for good."""

import json
import random
import signal
import time

import pytest

RUNS = 5  # each killed as often as it takes to finish, 25 times in all


def left_by(out):
    latest = out / "state" / (out / "state/latest").read_text()
    folders = [out, out / "coarse", out / "fine", latest]
    files = [file for folder in folders for file in folder.glob("*.safetensors")]
    return {str(file.relative_to(out)): file.read_bytes() for file in [*files, out / "metrics.jsonl"]}


@pytest.mark.slow
def test_a_signal_saves_and_leaves_with_75_and_the_same_command_goes_on(command, tmp_path):
    out = tmp_path / "run"
    process = command.start(out)
    command.wait_for_rows(process, out, 3)
    asked = time.monotonic()
    ended = command.end(process, signal.SIGTERM)
    assert ended.code == 75, ended.err
    assert time.monotonic() - asked < 30
    assert "stopped by SIGTERM" in ended.err
    assert "Run the same command to go on" in ended.err
    rows = (out / "metrics.jsonl").read_text().splitlines()
    state = json.loads((out / "state" / (out / "state/latest").read_text() / "state.json").read_text())
    steps = [row for row in map(json.loads, rows) if row["event"] == "StepDone"]
    assert state["progress"]["step"] == steps[-1]["step"]
    again = command.end_of(command.start(out))
    assert again.code == 0, again.err
    told = json.loads(again.out)
    assert told["resumed_from"] == {"stage": "coarse", "step": state["progress"]["step"]}
    assert told["steps"] == 36 - state["progress"]["step"]
    assert told["tokens"] > 0
    assert "goes on where it was" in again.err


@pytest.mark.soak
def test_25_sigkills_at_random_instants_change_nothing(command, tmp_path):
    whole = command.end_of(command.start(tmp_path / "whole"))
    assert whole.code == 0, whole.err
    expected = left_by(tmp_path / "whole")
    rows = len((tmp_path / "whole/metrics.jsonl").read_text().splitlines())
    rng = random.Random(0)
    for run in range(RUNS):
        out = tmp_path / f"killed-{run}"
        moments = sorted(rng.sample(range(1, rows - 10), 25 // RUNS))
        for moment in moments:
            process = command.start(out)
            command.wait_for_rows(process, out, moment)
            time.sleep(rng.uniform(0, 0.2))
            assert command.end(process, signal.SIGKILL).code == -signal.SIGKILL
        ended = command.end_of(command.start(out))
        assert ended.code == 0, ended.err
        assert left_by(out) == expected
