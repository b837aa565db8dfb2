"""The commands of the README run, as they stand there, in a folder such as it speaks of.

Those that need a network, weights or data of others are named with the test that runs them otherwise; a new
line in the README has to be run here or named so.
"""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from emo.cli.main import emo
from emo.corpora import read_manifest

README = Path(__file__).parent.parent / "README.md"
ELSEWHERE = {
    "emo init": "test_whole_road.py and test_workspace.py; here the folder has its emo.yaml",
    "emo weights get": "needs a network: tests/extractors/test_fetch.py",
    "emo transcribe": "needs the extra asr: tests/pipeline/test_transcribe.py",
    "emo corpus read": "needs the data set: tests/corpora/datasets",
    "emo train-llm": "needs LLaMA-2 and MERR: test_whole_road.py trains on a tiny base",
    "emo app": "serves until it is stopped: tests/app/test_page.py",
    "emo cache import": "needs the other project's tree: tests/cache/exchange",
    "emo cache push": "needs a remote store: tests/cache/remote",
    "emo doctor --licences": "tests/test_licences.py",
}
RECIPE = """\
labels: [neutral, angry, happy, sad, worried, surprise]
standardise: true
projector_scale: 0.1
stages:
  fine: {tasks: {emotion: 0.5, explain: 0.5}, steps: 2, batch_size: 4, warmup_steps: 1, peak_lr: 1.0e-3}
"""
WORKSPACE = "clips: clips\ncache: features.zarr\npreset: tiny\nrecipe: short.yaml\nbase: tiny-base\n"


def commands():
    block = README.read_text().split("## On your own clips", 1)[1].split("\n## ", 1)[0]
    return [re.sub(r"\s+#.*", "", line).strip() for line in block.splitlines() if line.startswith("    emo ")]


def is_elsewhere(command):
    return any(command == name or command.startswith(f"{name} ") for name in ELSEWHERE)


def typed(command):
    done = CliRunner().invoke(emo, ["-q", *shlex.split(command)[1:]])
    assert done.exit_code == 0, (command, done.output, done.exception)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Rendered clips under the README's names, a cache, a tiny base, a LLaMA stage and answers to score."""
    folder, here = tmp_path_factory.mktemp("study"), os.getcwd()
    os.chdir(folder)
    (folder / "emo.yaml").write_text(WORKSPACE)
    (folder / "short.yaml").write_text(RECIPE)
    typed("emo corpus render clips --clips 24 --seed 3 --jobs 1")
    clips = read_manifest("clips/manifest.jsonl")
    listed = ["clip_id,path,text,label,speaker,split"]
    listed += [
        f'{clip.clip_id},{clip.path},"{clip.text}",{clip.label},{clip.speaker},{clip.split}' for clip in clips
    ]
    Path("clips.csv").write_text("\n".join(listed) + "\n")
    for name in ("clip.mp4", "film.mp4"):
        shutil.copy(clips[0].path, name)
    rows = [f"{clip.clip_id},{clip.label},{place % 3 - 1}" for place, clip in enumerate(clips)]
    Path("test.csv").write_text("\n".join(["name,discrete,valence", *rows]) + "\n")
    shutil.copy("test.csv", "answers.csv")
    typed("emo extract clips/ --encoder hubert,mae,videomae,eva")
    typed("emo llm tiny-base --steps 4")
    typed("emo train-llm")
    typed("emo train-head")
    typed("emo evaluate --model runs/head --out runs/scores")
    yield folder
    os.chdir(here)


@pytest.mark.soak
@pytest.mark.parametrize("command", [one for one in commands() if not is_elsewhere(one)])
def test_a_command_of_the_readme_runs(study, command):
    typed(command.replace("answers.jsonl", "answers.csv"))


def test_what_is_run_elsewhere_stands_in_the_readme():
    text = README.read_text()
    assert not [name for name in ELSEWHERE if name not in text]
    assert len([one for one in commands() if not is_elsewhere(one)]) >= 10
