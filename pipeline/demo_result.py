"""What the demo measured, as an object, as JSON and as lines for people. Measures nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from emo.clip import Clip
from emo.config.demo import DemoConfig
from emo.evaluation.intervals import Difference
from emo.evaluation.reasons import ReasonScores
from emo.evaluation.scored import Scored
from emo.heads.runs import HeadRun
from emo.llm.training.events import StageEvent
from emo.pipeline.answers import Answer


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoResult:
    """What the demo measured on test speakers.

    `answers` are those of the LLaMA stage. `shuffled` are mean weighted F1 of the same systems with
    features permuted among the test clips. `gains` are fusion minus each encoder alone.
    `reasons` are the scores of the LLaMA stage's reasons.
    """

    config: DemoConfig
    clips: Sequence[Clip]
    head: Scored
    head_name: str
    unimodal: dict[str, Scored]
    llm: Scored
    answers: Sequence[Answer]
    majority_f1: float
    shuffled: dict[str, float]
    gains: dict[str, Difference]
    reasons: ReasonScores
    seconds: dict[str, float]
    head_run: HeadRun
    llm_events: Sequence[StageEvent] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """The object that `emo demo --json` prints."""
        head, llm = self.head.to_json(), self.llm.to_json()
        return {
            "clips": self.config.clips,
            "seed": self.config.seed,
            "head": {"name": self.head_name, **_brief(head)},
            "unimodal": {name: round(one.scores.weighted_f1, 4) for name, one in self.unimodal.items()},
            "llm": {
                **_brief(llm),
                "invalid_rate": self.llm.scores.invalid_rate,
                "reasons": self.reasons.to_json(),
            },
            "majority_f1": round(self.majority_f1, 4),
            "shuffled": {name: round(value, 4) for name, value in self.shuffled.items()},
            "fusion_gain": {
                name: {"difference": round(gain.value, 4), "ci": [round(gain.low, 4), round(gain.high, 4)]}
                for name, gain in self.gains.items()
            },
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }

    def lines(self) -> Iterator[str]:
        """The figures as lines for people."""
        yield (
            f"{self.head.scores.n} test clips of {len(set(self.head.speakers))} speakers nobody trained on "
            "(drawn people, tiny encoders: a check of the pipeline)"
        )
        for name, one in (("fusion head", self.head), ("LLaMA stage", self.llm), *self.unimodal.items()):
            yield (
                f"  {name:12s} weighted F1 {one.scores.weighted_f1:.3f} "
                f"[{one.interval.low:.3f}, {one.interval.high:.3f}]"
            )
        yield (
            f"  shuffled     head {self.shuffled['head_weighted_f1']:.3f}, "
            f"LLaMA {self.shuffled['llm_weighted_f1']:.3f}; majority {self.majority_f1:.3f}"
        )
        yield (
            f"  invalid answers {self.llm.scores.invalid_rate:.1%}, "
            f"reasons that name their label {self.reasons.names_label.point:.1%}, "
            f"clue F1 {self.reasons.clue_f1} (chance {self.reasons.chance_f1:.3f}), "
            f"{self.seconds['total']:.0f} s"
        )


def _brief(scores: dict[str, Any]) -> dict[str, Any]:
    return {"weighted_f1": round(scores["weighted_f1"], 4), "n": scores["n"], "ci": scores["ci"]}
