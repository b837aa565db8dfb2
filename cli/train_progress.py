"""What `emo train-llm` shows while it runs and tells at the end. Trains nothing and writes no file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from emo.cli.console import Voice
from emo.errors import Interrupted

if TYPE_CHECKING:
    from emo.config.llm import LlmConfig
    from emo.llm.training.events import Resumed, StageEvent, StepDone, Stopped, Validated
    from emo.llm.training.runs import RunStarted

SMOOTHING = 0.9  # of the loss that is shown: the share of what was shown before


class Pace:
    """Steps, tokens and seconds since training began, and a smoothed loss. Refused steps leave it alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self.steps = self.tokens = 0
        self.loss: float | None = None

    @property
    def seconds(self) -> float:
        """Since the first step could begin."""
        return self._clock() - self._began

    def start(self) -> None:
        """Training begins now; loading is over."""
        self._began = self._clock()

    def add(self, event: StepDone) -> None:
        """Count a step."""
        self.steps, self.tokens = self.steps + 1, self.tokens + event.tokens
        if not event.refused:
            before = event.loss if self.loss is None else self.loss
            self.loss = SMOOTHING * before + (1 - SMOOTHING) * event.loss

    def words(self) -> str:
        """The pace in a few words; tokens are the supervised ones."""
        seconds = max(self.seconds, 1e-9)
        loss = "" if self.loss is None else f"loss {self.loss:.3f}, "
        return f"{loss}{self.steps / seconds:.2f} steps/s, {self.tokens / seconds:.0f} answer tokens/s"


def follow(
    speaker: Voice, events: Iterable[RunStarted | StageEvent], config: LlmConfig, out: Path
) -> dict[str, object]:
    """Draw the events of a run and gather what is worth telling at the end.

    Interrupted where the run was asked to stop.
    """
    from emo.llm.training.events import Resumed, StageDone, StepDone, Stopped, Validated
    from emo.llm.training.runs import RunStarted

    first_step = first_steps(config)
    total = sum(stage.steps for stage in config.stages.values())
    pace = Pace()
    summary: dict[str, object] = {"resumed_from": None}
    stages: dict[str, object] = {}
    with speaker.meter("train-llm") as meter:
        for event in events:
            match event:
                case RunStarted(counts, fresh):
                    pace.start()
                    speaker.note(counts.sentence())
                    if fresh:
                        speaker.note(f"not in --init-from, started fresh: {', '.join(fresh)}")
                    summary["trainable"] = {"lora": counts.lora, "projectors": counts.projectors}
                case Resumed():
                    for line in _resumed_lines(event, out):
                        speaker.note(line)
                    meter.update(first_step.get(event.stage, total) + event.step, total)
                    summary["resumed_from"] = {"stage": event.stage, "step": event.step}
                case StepDone():
                    pace.add(event)
                    if event.refused:
                        speaker.note(_refused_line(event))
                    done = first_step[event.stage] + event.step
                    meter.update(done, total, f"{event.stage}, {pace.words()}")
                case Validated():
                    speaker.note(_validation_line(event))
                case StageDone():
                    stages[event.stage] = {
                        "kept_step": event.kept_step,
                        "validation_weighted_f1": event.weighted_f1,
                        **({"note": event.note} if event.note else {}),
                    }
                    if event.note:
                        speaker.note(f"{event.stage}: {event.note}")
                case Stopped():
                    raise Interrupted(_stopped_line(event, out))
    summary |= {"steps": pace.steps, "tokens": pace.tokens, "seconds": round(pace.seconds, 3)}
    return {**summary, "stages": stages}


def first_steps(config: LlmConfig) -> dict[str, int]:
    """Steps of the stages before each stage."""
    firsts, steps = {}, 0
    for name, stage in config.stages.items():
        firsts[name] = steps
        steps += stage.steps
    return firsts


def _resumed_lines(event: Resumed, out: Path) -> list[str]:
    where = f"{event.stage}, after {event.step} steps" if event.stage else "all stages are over"
    return [f"{out}: goes on where it was ({where}); --fresh starts over", *event.notes]


def _refused_line(event: StepDone) -> str:
    return (
        f"{event.stage} step {event.step}: loss or gradient is not finite, no step taken. "
        f"Clips: {', '.join(event.refused)}"
    )


def _validation_line(event: Validated) -> str:
    score = "" if event.weighted_f1 is None else f", weighted F1 {event.weighted_f1:.3f}"
    kept = ", best so far" if event.best else ""
    return f"{event.stage} step {event.step}: validation loss {event.loss:.3f}{score}{kept}"


def _stopped_line(event: Stopped, out: Path) -> str:
    return (
        f"stopped by {event.reason} in stage {event.stage} after {event.step} steps; {out} holds all of it. "
        "Run the same command to go on."
    )
