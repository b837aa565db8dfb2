"""What stays the same through the stages of a run: the model, the features, the texts, the seed.

Trains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emo.clip import Example
from emo.llm.examples import ClipTexts
from emo.llm.features import Features
from emo.llm.model import EmotionLlama
from emo.llm.official.text import official_answer
from emo.llm.prompts import Template
from emo.llm.training.distributed import ALONE, Crew


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """A run's fixed parts.

    `valid` holds clips of other speakers than `train`; a stage keeps the weights that are best on them,
    and the last ones where `valid` is empty. `augmented` are augmented versions of some features of
    the clips in `train`; a step draws which version it sees, and nothing is ever validated on them. `crew`
    are the ranks that train together.
    """

    model: EmotionLlama
    features: Features
    template: Template
    labels: tuple[str, ...]
    train: Sequence[ClipTexts]
    valid: Sequence[ClipTexts]
    augmented: Sequence[Features] = ()
    max_answer_tokens: int | None = None
    official_text: bool = False
    seed: int = 0
    crew: Crew = ALONE

    def answer_ids(self, example: Example) -> tuple[int, ...]:
        """Token ids of an example's answer, its end among them."""
        text = official_answer(example.answer) if self.official_text else example.answer
        return self.model.codec.answer(text, limit=self.max_answer_tokens)
