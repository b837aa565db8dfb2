"""A signal stops a run between two micro-batches; what is done is saved and the run goes on from it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from emo.llm.training import stages, validation
from emo.llm.training.events import Resumed, StageDone, Stopped
from emo.llm.training.runs import Manner, run_stages
from emo.llm.training.stopping import SIGNALS, Stop, StopAsked, stop_signals


@pytest.fixture
def train(base, features, texts, config):
    coarse = replace(config.stages["coarse"], steps=3, batch_size=6, row_tokens=200, validate_every=2)
    recipe = replace(config, stages={"coarse": coarse})

    def run(out, stop):
        fresh = replace(base, llama=deepcopy(base.llama))
        manner = Manner(stop=stop)
        return list(run_stages(fresh, features, texts[:20], texts[24:30], recipe, out, seed=0, manner=manner))

    return run


def asked_at_call(monkeypatch, owner, name, number):
    """A flag that is set while the call of that number is under way, as a signal would."""
    stop, calls, real = Stop(), [], getattr(owner, name)

    def counted(*given, **settings):
        calls.append(name)
        if len(calls) == number:
            stop.ask("SIGTERM")
        return real(*given, **settings)

    monkeypatch.setattr(owner, name, counted)
    return stop, calls


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [
        (stages, "micro_loss", 1),  # between the first two micro-batches of all
        (stages, "micro_loss", 5),  # in the middle of a later step
        (validation, "label_log_likelihoods", 1),  # within validation
    ],
)
def test_a_stopped_run_goes_on_to_the_same_end(train, tmp_path, monkeypatch, owner, name, number):
    expected = train(tmp_path / "whole", Stop())
    with monkeypatch.context() as patch:
        stop, calls = asked_at_call(patch, owner, name, number)
        *_, stopped = train(tmp_path / "run", stop)
    assert isinstance(stopped, Stopped)
    assert stopped.reason == "SIGTERM"
    assert len(calls) <= number + 1
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "stopped"
    rest = [event for event in train(tmp_path / "run", Stop()) if not isinstance(event, Resumed)]
    assert rest[-1] == expected[-1]
    assert isinstance(rest[-1], StageDone)
    for file in ("metrics.jsonl", "adapter_model.safetensors", "projectors.safetensors"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_gradients_of_a_step_that_was_left_do_not_reach_the_next_one(
    base, features, texts, config, monkeypatch
):
    """The same model object trains on after a stop: what was added up is dropped, not counted twice."""
    from emo.labels import MER2023
    from emo.llm.build import new_model
    from emo.llm.prompts import TEMPLATES
    from emo.llm.training.course import Course

    stage = replace(config.stages["coarse"], steps=2, batch_size=6, row_tokens=200)

    def course():
        own = replace(base, llama=deepcopy(base.llama))
        model = new_model(own, features, [text.clip_id for text in texts], config, seed=1)
        return Course(
            model=model, features=features, template=TEMPLATES["emo"], labels=MER2023, train=texts, valid=()
        )

    whole, left = course(), course()
    list(stages.StageTraining(whole, "coarse", stage).events())
    with monkeypatch.context() as patch:
        stop, _ = asked_at_call(patch, stages, "micro_loss", 1)
        training = stages.StageTraining(left, "coarse", stage, stop)
        with pytest.raises(StopAsked):
            list(training.events())
    again = stages.StageTraining(left, "coarse", stage)
    again.load(training.state())
    list(again.events())
    expected = whole.model.trained()
    assert all(torch.equal(value, expected[name]) for name, value in left.model.trained().items())


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_sets_the_flag_and_is_told(number):
    told = []
    before = signal.getsignal(number)
    with stop_signals(told.append) as stop:
        stop.check()
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)  # a second one changes nothing
        with pytest.raises(StopAsked, match=signal.Signals(number).name):
            stop.check()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL  # Ctrl-C now ends the process at once
    assert told == [signal.Signals(number).name]
    assert signal.getsignal(number) == before


def test_a_second_ctrl_c_ends_the_process_at_once():
    waits = textwrap.dedent(
        """
        import time
        from emo.llm.training.stopping import stop_signals
        with stop_signals(lambda name: print(name, flush=True)):
            print("ready", flush=True)
            while True:
                time.sleep(1)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "SIGINT\n"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == -signal.SIGINT
    process.stdout.close()


def test_outside_the_main_thread_there_is_a_flag_but_no_handler():
    def use():
        with stop_signals() as stop:
            stop.ask("the caller")
            seen.append(stop.reason)

    seen = []
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert seen == ["the caller"]
    assert signal.getsignal(signal.SIGTERM) == before
