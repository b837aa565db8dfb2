"""What training shows: pace and loss, where it goes on, what is refused, how it was stopped."""

import math

import pytest

from emo.cli.console import Voice
from emo.cli.train_progress import Pace, follow
from emo.config.llm import LlmConfig, StageConfig
from emo.errors import Interrupted
from emo.llm.model import ParameterCounts
from emo.llm.training.events import Resumed, StageDone, StepDone, Stopped, Validated
from emo.llm.training.runs import RunStarted

CONFIG = LlmConfig(
    stages={
        name: StageConfig(tasks={"emotion": 1.0}, steps=steps) for name, steps in (("coarse", 4), ("fine", 6))
    }
)
STARTED = RunStarted(ParameterCounts(lora=5, projectors=7, llama=1000))


def step(stage, number, loss=2.0, refused=()):
    return StepDone(stage, number, CONFIG.stages[stage].steps, loss, 1e-3, 1.0, 30, refused)


def test_pace_counts_steps_and_tokens_and_smooths_the_loss():
    now = iter([0.0, 10.0, 14.0, 14.0])
    pace = Pace(lambda: next(now))
    pace.start()  # loading took ten seconds, which are nobody's pace
    pace.add(step("coarse", 1, loss=3.0))
    pace.add(step("coarse", 2, loss=1.0))
    pace.add(step("coarse", 3, loss=math.nan, refused=("clip1",)))
    assert pace.loss == pytest.approx(0.9 * 3.0 + 0.1 * 1.0)
    assert pace.words() == "loss 2.800, 0.75 steps/s, 22 answer tokens/s"


def test_the_summary_says_what_this_process_did(tmp_path):
    events = [
        STARTED,
        Resumed("coarse", 3, ("torch was 1 before and is 2 now",)),
        step("coarse", 4),
        Validated("coarse", 4, 1.0, 0.5, True),
        StageDone("coarse", 4, 4, 0.5),
        step("fine", 1),
    ]
    summary = follow(Voice(quiet=True), events, CONFIG, tmp_path)
    assert summary["resumed_from"] == {"stage": "coarse", "step": 3}
    assert (summary["steps"], summary["tokens"]) == (2, 60)
    assert summary["seconds"] >= 0
    assert summary["stages"] == {"coarse": {"kept_step": 4, "validation_weighted_f1": 0.5}}


def test_a_stage_that_chose_nothing_is_told_of(tmp_path, capsys):
    events = [STARTED, step("coarse", 4), StageDone("coarse", 4, 4, None, "nothing was chosen")]
    summary = follow(Voice(), events, CONFIG, tmp_path)
    assert summary["stages"]["coarse"]["note"] == "nothing was chosen"
    assert "coarse: nothing was chosen" in capsys.readouterr().err


def test_notes_name_refused_clips_changes_and_the_place(tmp_path, capsys):
    refused = step("fine", 2, loss=math.nan, refused=("clip7", "clip9"))
    events = [STARTED, Resumed("fine", 1, ("dtype was x before and is y now",)), refused]
    follow(Voice(), events, CONFIG, tmp_path)
    said = capsys.readouterr().err
    assert "goes on where it was (fine, after 1 steps)" in said
    assert "dtype was x before" in said
    assert "clip7, clip9" in said


def test_a_stop_is_an_interruption_that_says_how_to_go_on(tmp_path):
    with pytest.raises(Interrupted, match="stopped by SIGTERM in stage coarse after 2 steps") as raised:
        follow(Voice(quiet=True), [STARTED, Stopped("coarse", 2, "SIGTERM")], CONFIG, tmp_path)
    assert "Run the same command to go on" in str(raised.value)


def test_time_left_is_judged_by_what_this_process_did(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("emo.cli.console.time.monotonic", lambda: now[0])
    with Voice().meter("work") as meter:
        meter.update(90, 110)  # done by an earlier process
        now[0] = 10.0
        meter.update(100, 110)
    assert "work: 100/110, 10 s left" in capsys.readouterr().err
