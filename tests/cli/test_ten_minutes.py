"""The ten minutes in which somebody with clips of their own decides: six commands in an empty folder.

The commands are processes of their own, and one of them is interrupted and typed again.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from emo.testing import tone, write_clip

EMO = [sys.executable, "-c", "from emo.cli.main import main; main()"]
PEOPLE = {"anna": "train", "bo": "train", "cai": "val", "dee": "test"}
HERTZ = {"happy": 440, "sad": 150, "angry": 620}
LONGEST_S = 240

ROAD = (
    "extract clips.csv --encoder hubert --preset tiny --jobs 1",
    "cache import npy old --name mine --kind utterance --json",
    "cache diff features.zarr other.zarr --json",
    "train-head --manifest clips.csv --features hubert --epochs 3",
    "evaluate --model runs/head --manifest clips.csv --out runs/scores",
    "predict clips/anna-happy.wav --model runs/head --json",
)


@pytest.fixture
def desk(tmp_path):
    """What such a person has: clips, a table of labels, a folder of old features; no emo.yaml, no cache."""
    rows = ["clip_id,path,label,speaker,split"]
    for folder in ("clips", "old"):
        (tmp_path / folder).mkdir()
    for place, (person, split) in enumerate(PEOPLE.items()):
        for label, hertz in HERTZ.items():
            name = f"{person}-{label}"
            write_clip(tmp_path / f"clips/{name}.wav", None, tone(0.4, hertz=hertz + 7 * place))
            np.save(tmp_path / f"old/{name}.npy", np.full(8, hertz, np.float32))
            rows.append(f"{name},clips/{name}.wav,{label},{person},{split}")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.fixture
def typed(desk):
    environment = {**os.environ, "EMO_WEIGHTS": str(desk / "none"), "OMP_NUM_THREADS": "1"}

    def run(line, code=0):
        done = subprocess.run(
            [*EMO, *line.split()],
            cwd=desk,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        assert done.returncode == code, (line, done.stdout, done.stderr)
        return done.stdout

    run.environment = environment
    return run


def interrupted(line, desk, environment):
    """Type a command, press Ctrl-C as soon as something is stored, and give the code that it ends with."""
    process = subprocess.Popen(
        [*EMO, *line.split()], cwd=desk, env=environment, stderr=subprocess.PIPE, text=True
    )
    journals = desk / "features.zarr.journal"
    until = time.monotonic() + LONGEST_S
    while process.poll() is None and time.monotonic() < until:
        if any(file.stat().st_size > 400 for file in journals.rglob("w*.jsonl")):
            process.send_signal(signal.SIGINT)
            break
        time.sleep(0.01)
    return process.wait(LONGEST_S), process.communicate()[1]


def test_the_road_is_six_commands_and_no_path_is_edited():
    assert len(ROAD) <= 6
    assert not [line for line in ROAD if "/home" in line or ".yaml" in line]


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_from_nothing_to_answers_with_an_interruption_on_the_way(desk, typed):
    assert "Media is decoded in worker processes" in typed("doctor")
    extract, bring, compare, train, evaluate, predict = ROAD
    code, said = interrupted(extract, desk, typed.environment)
    assert code in (0, 75), said  # 0 where it was done before Ctrl-C came
    assert "Traceback" not in said
    assert "12 clips" in typed(extract)
    typed("cache verify")
    assert json.loads(typed(bring))["stored"] == 12
    typed("extract clips.csv --encoder hubert --preset tiny --jobs 1 --cache other.zarr")
    told = json.loads(typed(compare))
    assert told["schema_version"] == 1
    typed(train)
    typed(evaluate)
    typed("report mine=runs/scores --board mer2023-semi")
    answer = json.loads(typed(predict).splitlines()[0])
    assert set(answer["probabilities"]) >= set(HERTZ)
    assert "undeclared" in typed(
        "cache card"
    )  # what a push would send; pushes are tried in tests/cache/remote
    assert "Forbidden use" in (Path(desk) / "runs/head/README.md").read_text()
