"""What a stage must know to go on as if it had never stopped: its place, weights, optimiser, best so far.

No state of a random generator is among it: every draw is named by seed, stage, step and clip, so the place
is enough. Knows no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from emo.canonical import Json
from emo.errors import CheckpointError
from emo.llm.sharding import laid_out_as, whole
from emo.llm.training.plan import Cursor

Tensors: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """A place in a stage.

    `step` steps are over, `cursor` is the next one's place in the plan, `refused` of the last steps in a
    row were not finite, and validation was last done after `validated` steps.
    """

    stage: str
    step: int = 0
    cursor: Cursor = field(default_factory=Cursor)
    refused: int = 0
    validated: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class StageState:
    """A stage between two events. `optimiser` is by "moment.parameter"; `best` is empty and `best_step` 0
    where no weights were validated yet."""

    progress: Progress
    weights: Tensors
    optimiser: Tensors
    best: Tensors
    best_step: int = 0
    best_loss: float | None = None
    best_score: float | None = None

    def numbers(self) -> dict[str, Json]:
        """Everything but the tensors, as JSON."""
        return {
            "progress": cast(Json, asdict(self.progress)),
            "best_step": self.best_step,
            "best_loss": self.best_loss,
            "best_score": self.best_score,
        }

    def tensors(self) -> dict[str, Tensors]:
        """The tensors by kind."""
        return {"weights": self.weights, "optimiser": self.optimiser, "best": self.best}


def state_from(numbers: Mapping[str, Any], tensors: Mapping[str, Tensors]) -> StageState:
    """The inverse of `numbers` and `tensors`; KeyError and TypeError where they are of another format."""
    progress = numbers["progress"]
    return StageState(
        progress=Progress(**{**progress, "cursor": Cursor(**progress["cursor"])}),
        weights=tensors["weights"],
        optimiser=tensors.get("optimiser", {}),
        best=tensors.get("best", {}),
        best_step=numbers["best_step"],
        best_loss=numbers["best_loss"],
        best_score=numbers["best_score"],
    )


def moments(optimiser: torch.optim.Optimizer, trained: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The optimiser's tensors by "moment.parameter", such as "exp_avg.projectors.mae.weight"."""
    return {
        f"{kind}.{name}": whole(value)
        for name, parameter in trained.items()
        for kind, value in optimiser.state.get(parameter, {}).items()
    }


def restore_moments(
    optimiser: torch.optim.Optimizer, trained: Mapping[str, nn.Parameter], saved: Tensors
) -> None:
    """Put the tensors of `moments` back. Learning rates are not among them: they follow from the step."""
    places = {
        id(parameter): place
        for place, parameter in enumerate(
            parameter for group in optimiser.param_groups for parameter in group["params"]
        )
    }
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in saved.items():
        kind, name = key.split(".", 1)
        moment = laid_out_as(trained[name], value) if value.ndim else value  # the step is a plain number
        state.setdefault(places[id(trained[name])], {})[kind] = moment
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


@torch.no_grad()
def restore_weights(trained: Mapping[str, nn.Parameter], saved: Tensors) -> None:
    """Copy saved weights into the parameters; CheckpointError where the names differ."""
    if strangers := sorted(trained.keys() ^ saved.keys()):
        raise CheckpointError(
            f"{len(strangers)} trained tensors differ from those of the saved state, the first is "
            f"{strangers[0]}. The model was built otherwise than before; --fresh starts over."
        )
    for name, value in saved.items():
        trained[name].copy_(laid_out_as(trained[name], value))
