"""The road as a user types it, inside a workspace: render, extract, train a head and the LLaMA stage, answer.

Two training steps and a base of six: this shows that every command takes up what the one before left.
"""

import json
import os

import pytest
from click.testing import CliRunner

from emo.cli.main import emo
from emo.run_data import read_run_data

CLIPS = 16
WORKSPACE = """\
clips: clips
cache: features.zarr
preset: tiny
recipe: short.yaml
base: tiny-base
"""
RECIPE = """\
labels: [neutral, angry, happy, sad, worried, surprise]
standardise: true
projector_scale: 0.1
stages:
  coarse: {tasks: {emotion: 1.0}, steps: 2, batch_size: 4, warmup_steps: 1, peak_lr: 1.0e-3}
  fine: {tasks: {emotion: 0.5, explain: 0.5}, steps: 2, batch_size: 4, warmup_steps: 1, peak_lr: 1.0e-3}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "emo.yaml").write_text(WORKSPACE)
    (folder / "short.yaml").write_text(RECIPE)
    here = os.getcwd()
    os.chdir(folder)
    yield folder
    os.chdir(here)


def typed(*words, code=0):
    result = CliRunner().invoke(emo, ["-q", *words])
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


@pytest.mark.slow
def test_the_road_from_clips_to_reasons(workspace):
    told = json.loads(
        typed("corpus", "render", "clips", "--clips", str(CLIPS), "--seed", "5", "--jobs", "1", "--json")
    )
    assert told["clips"] == CLIPS

    told = json.loads(typed("extract", "--encoder", "videomae", "--jobs", "1", "--json"))
    assert (told["stored"], told["failed"]) == (CLIPS, [])
    told = json.loads(typed("extract", "--jobs", "1", "--json"))
    assert (told["stored"], told["already"], told["failed"]) == (3 * CLIPS, CLIPS, [])
    assert json.loads(typed("cache", "verify", "--json"))["bad"] == []

    told = json.loads(typed("train-head", "--epochs", "2", "--json"))
    assert told["result"]["n"] > 0
    typed("llm", "tiny-base", "--steps", "6")
    told = json.loads(typed("train-llm", "--json"))
    assert set(told["stages"]) == {"coarse", "fine"}
    assert "## Forbidden use" in (workspace / "runs/llm/README.md").read_text()
    for run in ("head", "llm"):
        seen = read_run_data(workspace / "runs" / run).clips
        assert seen and all(clip.sha256 and clip.speaker for clip in seen)

    lines = typed("predict", "clips", "--model", "runs/llm", "--json").splitlines()
    answers = [json.loads(line) for line in lines]
    assert len(answers) == CLIPS
    for answer in answers:
        assert {"clip_id", "label", "probabilities", "text", "features", "missing"} <= set(answer)
        assert abs(sum(answer["probabilities"].values()) - 1) < 1e-4
        assert answer["features"] == ["hubert", "mae", "videomae", "eva"]
    clip = sorted((workspace / "clips").rglob("*.mp4"))[0]
    words = ["predict", str(clip), "--model", "runs/head", "--cache", "mistyped.zarr"]
    result = CliRunner().invoke(emo, words)
    assert result.exit_code == 0
    assert "there is no cache at mistyped.zarr: the clips' features go into a new one" in result.output
    assert "Beside it: features.zarr" in result.output
    told = json.loads(typed("evaluate", "--json"))
    assert told["n"] > 0
    assert told["ci"][0] <= told["weighted_f1"] <= told["ci"][1]
