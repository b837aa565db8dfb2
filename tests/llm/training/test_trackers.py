"""Trackers get the run's numbers at steps counted over all stages; a missing one is named with its extra."""

import importlib.util
import json
import math
import sys
from types import ModuleType

import pytest

from emo.errors import ConfigError, MissingDependency
from emo.llm.training.events import Resumed, StageDone, StepDone, Validated
from emo.llm.training.trackers import tracked

FIRST = {"coarse": 0, "fine": 2}
STEP = StepDone("coarse", 1, 2, 2.5, 1e-3, 0.7, 40)
EVENTS = [
    STEP,
    Validated("coarse", 1, 2.0, 0.4, True),
    StepDone("coarse", 2, 2, math.nan, 1e-3, math.inf, 40, ("clip1",)),
    StageDone("coarse", 2, 1, 0.4),
    StepDone("fine", 1, 3, 1.5, 1e-4, 0.3, 20),
    Validated("fine", 1, 1.9, None, True),
]


class Recorder:
    """Stands for a tracker's writer or run and remembers its calls."""

    def __init__(self, *given, **settings):
        self.given, self.settings = given, settings
        self.calls = []
        self.closed = False

    def add_scalar(self, name, value, step):
        self.calls.append((name, value, step))

    def log(self, values, step):
        self.calls.append((values, step))

    def close(self):
        self.closed = True

    finish = close


@pytest.fixture
def fake(monkeypatch):
    """Put a module of that name in place of a tracker's own; the recorders it handed out."""

    def put(module, call):
        made = []

        def make(*given, **settings):
            made.append(Recorder(*given, **settings))
            return made[-1]

        stand_in = ModuleType(module)
        setattr(stand_in, call, make)
        monkeypatch.setitem(sys.modules, module, stand_in)
        return made

    return put


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"sessions": [{"started": "2026-11-21T05:00:00+00:00"}]}))
    return tmp_path


def through(events, names, folder):
    return list(tracked(iter(events), names, folder, {"seed": 0}, FIRST))


def test_events_pass_unchanged_without_trackers(folder):
    assert through(EVENTS, [], folder) == EVENTS


def test_tensorboard_gets_scalars_by_stage_and_step(fake, folder):
    made = fake("torch.utils.tensorboard", "SummaryWriter")
    assert through(EVENTS, ["tensorboard"], folder) == EVENTS
    [writer] = made
    assert writer.given == (str(folder / "tensorboard"),)
    assert writer.settings == {"purge_step": 1}
    assert ("coarse/loss", 2.5, 1) in writer.calls
    assert ("coarse/validation_weighted_f1", 0.4, 1) in writer.calls
    assert ("fine/loss", 1.5, 3) in writer.calls
    assert ("fine/validation_loss", 1.9, 3) in writer.calls
    [refused] = [value for name, value, step in writer.calls if (name, step) == ("coarse/loss", 2)]
    assert math.isnan(refused)
    assert writer.closed


def test_a_run_that_goes_on_purges_what_it_does_again(fake, folder):
    made = fake("torch.utils.tensorboard", "SummaryWriter")
    through([Resumed("fine", 1), StepDone("fine", 2, 3, 1.0, 1e-4, 0.1, 9)], ["tensorboard"], folder)
    assert made[0].settings == {"purge_step": 4}
    assert ("fine/loss", 1.0, 4) in made[0].calls


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_services_get_one_row_a_step_and_know_the_run_again(fake, folder, name):
    made = fake(name, "init")
    through(EVENTS, [name], folder)
    through([Resumed("coarse", 1), *EVENTS[2:]], [name], folder)
    first, again = made
    assert first.settings["resume"] == "allow"
    assert first.settings["config"] == {"seed": 0}
    assert first.settings["name"] == again.settings["name"]
    assert [step for _, step in first.calls] == [1, 1, 2, 3, 3]
    assert first.calls[0][0]["coarse/loss"] == 2.5
    assert first.closed
    assert again.closed


def test_trackers_are_closed_when_the_run_breaks_off(fake, folder):
    made = fake("wandb", "init")

    def breaks():
        yield STEP
        raise RuntimeError

    with pytest.raises(RuntimeError):
        through(breaks(), ["wandb"], folder)
    assert made[0].closed


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("tensorboard", "tensorboard", "tracking"), ("trackio",) * 3, ("wandb", "wandb", "tracking")],
)
def test_a_tracker_that_is_not_installed_is_named_with_its_extra(folder, name, module, extra):
    if importlib.util.find_spec(module):
        pytest.skip(f"{module} is installed here")
    with pytest.raises(MissingDependency, match=rf"emo-toolkit\[{extra}\]"):
        through(EVENTS, [name], folder)


def test_an_unknown_tracker_lists_the_known_ones(folder):
    with pytest.raises(ConfigError, match="tensorboard, trackio, wandb"):
        through(EVENTS, ["mlflow"], folder)
