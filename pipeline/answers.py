"""What a trained system says of a clip. Knows no model and reads no features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

DECIMALS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a system says of a clip.

    `label` is None where a generated answer named no label of the set (it is never repaired into one), or
    where the system was not sure enough and `abstained`. `confidence` is the probability of the label that
    was said, 0 where none was. `probabilities` are over the label set; `text` is the reasoning, generated
    after the label; `features` were used, `missing` were not to be had. `valence` is None where the system
    gives none.

    >>> answer = emo.Answer(clip_id="anna-1", label="sad", probabilities={"sad": 0.8}, confidence=0.8)
    >>> answer.unless_below(0.9).label is None
    True
    """

    clip_id: str
    label: str | None
    probabilities: Mapping[str, float]
    confidence: float = 0.0
    abstained: bool = False
    text: str = ""
    features: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    valence: float | None = None

    @property
    def explained(self) -> str:
        """The label that the reasons are about: the one that was said, else the likeliest."""
        return self.label or max(self.probabilities, key=lambda label: self.probabilities[label])

    def unless_below(self, threshold: float) -> Answer:
        """The answer, or its abstention where its confidence is below `threshold`: no label, no reason."""
        if self.label is None or self.confidence >= threshold:
            return self
        return replace(self, label=None, abstained=True, text="")

    def to_json(self) -> dict[str, Any]:
        """The object that `emo predict --json` prints on a line; numbers to six decimals."""
        return asdict(self) | {
            "probabilities": {label: round(share, DECIMALS) for label, share in self.probabilities.items()},
            "confidence": round(self.confidence, DECIMALS),
            "valence": None if self.valence is None else round(self.valence, DECIMALS),
        }
