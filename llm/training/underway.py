"""A run under way: stages in turn, every event written down, states saved when they are due.

Decides when things are written and in which order, so that a kill at any instant loses no more than the
steps since the last state. Computes nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from emo.canonical import Json
from emo.llm.card import Card
from emo.llm.checkpoint import save_checkpoint
from emo.llm.training.course import Course
from emo.llm.training.events import Resumed, StageDone, StageEvent, Stopped
from emo.llm.training.metrics import Metrics, NoMetrics
from emo.llm.training.record import FAILED, FINISHED, STOPPED, RunRecord
from emo.llm.training.saving import Saved, States, put_in_place, remove
from emo.llm.training.stages import StageTraining
from emo.llm.training.state import state_from
from emo.llm.training.stopping import Stop, StopAsked

STATES = "state"


class RunUnderWay:
    """One process of a run, in the folder of its record. Of several ranks only the first writes; all of them
    take part in gathering what is written."""

    def __init__(self, course: Course, card: Card, record: RunRecord, save_every: int, stop: Stop) -> None:
        self._course, self._card, self._record = course, card, record
        self._save_every, self._stop = save_every, stop
        self._crew, self._out = course.crew, record.folder
        self._states = States(record.folder / STATES)
        self._last_saved = ""

    def events(self, notes: Sequence[str]) -> Iterator[StageEvent]:
        """What happens from here to the end of the run, or until it is asked to stop.

        A Resumed comes first where something was done before; it carries `notes` and others of its own.
        """
        saved, passed_over = self._newest()
        ahead = [name for name in self._card.config.stages if name not in self._record.done]
        if not ahead or saved is None or saved.numbers["progress"]["stage"] != ahead[0]:
            saved = None
        lengths = [done["metrics_bytes"] for done in self._record.done.values()]
        length = saved.numbers["metrics_bytes"] if saved else max(lengths, default=0)
        try:
            with Metrics(self._out, length) if self._crew.is_first else NoMetrics() as metrics:
                if saved or passed_over or len(ahead) < len(self._card.config.stages):
                    yield _resumed(saved, ahead, (*passed_over, *notes))
                for name in ahead:
                    over = yield from self._stage(name, saved, metrics)
                    if not over:
                        return
                    saved = None
            self._checkpoint(self._finished_card(), self._out)
        except Exception:
            self._record.end(FAILED)
            raise
        self._record.end(FINISHED)

    def _newest(self) -> tuple[Saved | None, list[str]]:
        """The newest sound state, the same one on every rank, and why newer ones were passed over."""
        found, notes = self._states.newest() if self._crew.is_first else (None, [])
        name = self._crew.told(found.name if found else "")
        if self._crew.is_first:
            return found, notes
        return self._states.read(name) if name else None, notes

    def _stage(
        self, name: str, saved: Saved | None, metrics: Metrics | NoMetrics
    ) -> Generator[StageEvent, None, bool]:
        """The events of a stage; False where it was asked to stop."""
        training = StageTraining(self._course, name, self._card.config.stages[name], self._stop)
        if saved is not None:
            training.load(state_from(saved.numbers, saved.tensors))
            self._last_saved = saved.name
        try:
            for event in training.events():
                metrics.write(event)
                if isinstance(event, StageDone):
                    self._finish(event, metrics)
                elif self._is_due(training):
                    self._save(training, metrics)
                yield event
        except StopAsked as asked:
            self._save(training, metrics)
            self._record.end(STOPPED)  # whoever hears of it may end the process at once
            yield Stopped(name, training.progress.step, str(asked))
            return False
        return True

    def _is_due(self, training: StageTraining) -> bool:
        """After a sound step, and the validation that follows it, if its number says so or it is the last."""
        progress = training.progress
        last = progress.step == self._card.config.stages[progress.stage].steps
        settled = not training.owes_validation and not progress.refused
        return settled and (last or progress.step % self._save_every == 0)

    def _save(self, training: StageTraining, metrics: Metrics | NoMetrics) -> None:
        """Write the state down. The start of a stage needs none: it follows from the checkpoints."""
        progress = training.progress
        number = self._record.steps_before(progress.stage) + progress.step
        name = f"step-{number:08d}" + ("-validated" if progress.validated == progress.step else "")
        if progress.step == 0 or name == self._last_saved:
            return
        metrics.sync()
        state = training.state()
        numbers = {**state.numbers(), "metrics_bytes": metrics.length}
        if self._crew.is_first:
            self._states.save(name, numbers, state.tensors())
        self._last_saved = name

    def _finish(self, event: StageDone, metrics: Metrics | NoMetrics) -> None:
        """Put the stage's checkpoint in place, and only then call the stage done."""
        metrics.sync()
        part = self._out / f"{event.stage}.part"
        if self._crew.is_first:
            remove(part)
        done: dict[str, Json] = {event.stage: {"step": event.kept_step, "weighted_f1": event.weighted_f1}}
        self._checkpoint(self._finished_card(done), part)
        if self._crew.is_first:
            put_in_place(part, self._out / event.stage)
        self._record.stage_done(event.stage, event.kept_step, event.weighted_f1, metrics.length)

    def _checkpoint(self, card: Card, folder: Path) -> None:
        save_checkpoint(self._course.model, card, folder, writes=self._crew.is_first)

    def _finished_card(self, more: Mapping[str, Json] | None = None) -> Card:
        """The card with every stage that is over."""
        trained: dict[str, Json] = {
            name: {"step": done["step"], "weighted_f1": done["weighted_f1"]}
            for name, done in self._record.done.items()
        }
        return replace(self._card, trained={**trained, **(more or {})})


def _resumed(saved: Saved | None, ahead: Sequence[str], notes: tuple[str, ...]) -> Resumed:
    step = saved.numbers["progress"]["step"] if saved else 0
    return Resumed(ahead[0] if ahead else "", step, notes)
