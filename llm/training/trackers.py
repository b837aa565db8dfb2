"""Trackers: a run's numbers to TensorBoard, trackio or Weights & Biases, beside metrics.jsonl.

Each is imported when it is asked for; none is needed. What they hold is a copy for looking at: nothing is
ever read back from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

from emo.canonical import Json
from emo.errors import ConfigError, MissingDependency
from emo.llm.training.events import Resumed, StageEvent, StepDone, Validated
from emo.llm.training.record import run_name

PROJECT = "emo"
Event = TypeVar("Event")


class Tracker(Protocol):
    """Takes numbers by name at a step of the run."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Show these numbers at this step."""

    def close(self) -> None:
        """Everything was logged."""


def numbers_of(event: StageEvent) -> dict[str, float]:
    """What is worth drawing of an event, by "stage/name"; the loss of a refused step is NaN."""
    match event:
        case StepDone():
            found = {
                "loss": event.loss,
                "learning_rate": event.learning_rate,
                "gradient_norm": event.gradient_norm,
                "tokens": float(event.tokens),
            }
        case Validated():
            score = {} if event.weighted_f1 is None else {"validation_weighted_f1": event.weighted_f1}
            found = {"validation_loss": event.loss, **score}
        case _:
            return {}
    return {f"{event.stage}/{name}": value for name, value in found.items()}


def tracked(
    events: Iterable[Event],
    names: Sequence[str],
    folder: Path,
    settings: Mapping[str, Json],
    first_step: Mapping[str, int],
) -> Iterator[Event]:
    """The events as they are, told to the trackers of these names as well.

    Steps are counted over all stages: `first_step` holds the steps before each one. A tracker is opened with
    the first event that has a step, so that it knows where the run goes on. ConfigError for an unknown name
    and MissingDependency for one that is not installed, both before the first event.
    """
    openers = [_opener(name) for name in names]
    with ExitStack() as stack:
        trackers: list[Tracker] = []
        for event in events:
            if openers and isinstance(event, Resumed | StepDone):
                start = first_step.get(event.stage, 0) + (event.step if isinstance(event, Resumed) else 0)
                opened = [stack.enter_context(closing(each(folder, settings, start))) for each in openers]
                trackers, openers = opened, []
            if isinstance(event, StepDone | Validated):
                for tracker in trackers:
                    tracker.log(numbers_of(event), first_step[event.stage] + event.step)
            yield event


class TensorBoard:
    """Event files under `tensorboard/` of the run's folder; a run that goes on hides what it does again."""

    def __init__(self, module: ModuleType, folder: Path, settings: Mapping[str, Json], start: int) -> None:
        self._writer: Any = module.SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """One scalar for each number."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush the event file."""
        self._writer.close()


class Service:
    """trackio or wandb, whose runs take the same calls. A run that goes on is the same run there."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, values: Mapping[str, float], step: int) -> None:
        """All numbers in one row."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Wait until everything was sent."""
        self._run.finish()


def _trackio(module: ModuleType, folder: Path, settings: Mapping[str, Json], start: int) -> Service:
    return Service(module.init(project=PROJECT, name=run_name(folder), config=dict(settings), resume="allow"))


def _wandb(module: ModuleType, folder: Path, settings: Mapping[str, Json], start: int) -> Service:
    name = run_name(folder)
    run = module.init(
        project=PROJECT, id=name, name=name, dir=str(folder), config=dict(settings), resume="allow"
    )
    return Service(run)


_Opener = Callable[[ModuleType, Path, Mapping[str, Json], int], Tracker]
TRACKERS: dict[str, tuple[str, str, _Opener]] = {
    "tensorboard": ("torch.utils.tensorboard", "tensorboard", TensorBoard),
    "trackio": ("trackio", "trackio", _trackio),
    "wandb": ("wandb", "wandb", _wandb),
}
EXTRAS = {"trackio": "trackio"}  # apart from the others: it holds Pillow back


def _opener(name: str) -> Callable[[Path, Mapping[str, Json], int], Tracker]:
    if name not in TRACKERS:
        raise ConfigError(f"there is no tracker {name!r}. Known: {', '.join(TRACKERS)}.")
    module, package, make = TRACKERS[name]
    try:
        loaded = import_module(module)
    except ImportError as error:
        raise MissingDependency(
            f"--track {name} needs {package}: pip install 'emo-toolkit[{EXTRAS.get(name, 'tracking')}]'"
        ) from error
    return lambda folder, settings, start: make(loaded, folder, settings, start)
