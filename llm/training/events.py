"""What a stage reports while it runs. The command line draws these; nothing here prints or writes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import TypeAlias, cast

from emo.canonical import Json


@dataclass(frozen=True, slots=True)
class StepDone:
    """One optimiser step. `loss` is per supervised token; NaN where the step was refused, and then
    `refused` names the clips of the batch."""

    stage: str
    step: int
    steps: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Validated:
    """Validation speakers at `step`: loss per token, weighted F1 of the scored labels (None without
    labels), and whether this is the best so far and hence kept."""

    stage: str
    step: int
    loss: float
    weighted_f1: float | None
    best: bool


@dataclass(frozen=True, slots=True)
class StageDone:
    """The stage is over and the model holds the weights of `kept_step`; `note` says what is amiss."""

    stage: str
    steps: int
    kept_step: int
    weighted_f1: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The run goes on in `stage` after `step` of its steps.

    `notes` tell of saved states that were passed over and of what is different now, so that results may
    differ in their last bits.
    """

    stage: str
    step: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run was asked to stop by `reason` after `step` steps of `stage`; what is done is saved."""

    stage: str
    step: int
    reason: str


StageEvent: TypeAlias = Resumed | StepDone | Validated | StageDone | Stopped


@dataclass(frozen=True, slots=True)
class BaseProgress:
    """Progress of a tiny base: documents written, tokenizer trained, pre-training step `done` of `total`."""

    phase: str
    done: int
    total: int
    loss: float | None = None


def as_row(event: StageEvent) -> dict[str, Json]:
    """The event as one JSON object of metrics.jsonl, with its kind under "event". JSON has no NaN and no
    infinity: both become null."""
    fields = cast(dict[str, Json], asdict(event))
    sound: dict[str, Json] = {
        key: None if isinstance(value, float) and not isfinite(value) else value
        for key, value in fields.items()
    }
    return {"event": type(event).__name__, **sound}
