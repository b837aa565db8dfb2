"""Why a clip is not in a set: one word that is stable, one line for people.

no_action_units, bad_action_units, media   there is no face to go by, or no picture of it
no_label, face_disagrees                   nothing says a label, or the action units do not bear it out
per_label                                  the label has as many clips as it may
rejected_by_reviewer                       a reviewer said so
bad_answer, label_changed                  the model's answer was out of schema, or of another label
names_other_label, clue_not_there          the reason contradicts the label, or names what is not seen
duplicate, over_represented                the reason says what another says; the label has too many
neutral_not_drawn                          of the neutral clips only some are drawn
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from emo.canonical import Json

Stage = Literal["coarse", "fine"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """One clip that is not in the set of a stage."""

    clip_id: str
    stage: Stage
    reason: str
    detail: str = ""

    def to_json(self) -> dict[str, Json]:
        """One line of drops.jsonl."""
        return asdict(self)


def counted(drops: Iterable[Drop]) -> dict[str, Json]:
    """How many by stage and reason."""
    stages: dict[str, Counter[str]] = {"coarse": Counter(), "fine": Counter()}
    for drop in drops:
        stages[drop.stage][drop.reason] += 1
    return {stage: dict(sorted(counts.items())) for stage, counts in stages.items()}
