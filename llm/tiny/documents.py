"""Documents a tiny base learns from: the chats of the LLaMA stage, with words standing in the slots.

A base that has seen noisy clue words where features will stand learns to weigh many weak hints into one
label; the projectors then only have to find those words' directions. What is said is exchanged between
clips, so that no document can be answered from the subtitle alone. An explanation states any label, and
nothing but copying that label ends it rightly. Knows texts, no features and no model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from emo.errors import ConfigError
from emo.llm.examples import ClipTexts
from emo.llm.prompts import TASKS, Prompt, Slot, Task, Template, instruction

T = TypeVar("T")

EXPLAIN = "explain"
TASK_SHARES = {"emotion": 0.33, "caption": 0.16, "reason": 0.16, EXPLAIN: 0.35}
COMMON = 0.4  # a word in the clues of more than this share of clips tells nothing
WHOLE_PHRASE = 0.3  # share of the clues that stand there in full
LABEL_HINTS = 0.2  # share of the hints that are a label's own name; none where a label is stated
PATCHES_SLOT = "eva_patches"


@dataclass(frozen=True, slots=True)
class Document:
    """A prompt without slots, and its answer."""

    prompt: tuple[str, ...]
    answer: str


class ClueWriter:
    """Writes documents about `texts`, of which every label needs some with clues.

    A hint is of the clip's own class with chance `purity`, else of any class; `most` is the largest number
    of hints in the patches' slot.
    """

    def __init__(
        self,
        texts: Sequence[ClipTexts],
        labels: Sequence[str],
        template: Template,
        *,
        purity: float,
        most: int,
    ) -> None:
        self._labels, self._template = tuple(labels), template
        self._purity, self._most = purity, most
        self._common = _common_words(texts)
        self._said = [text.text for text in texts]
        self._by_label = {
            label: [one for one in texts if one.label == label and one.clues] for label in labels
        }
        self._clues = {
            label: [clue for one in found for clue in one.clues] for label, found in self._by_label.items()
        }
        if empty := [label for label, found in self._by_label.items() if not found]:
            raise ConfigError(
                f"no training clip with clues for {', '.join(empty)}. "
                "Give MERR-style JSON of clips of every label."
            )

    def documents(self, count: int, rng: Generator) -> Iterator[Document]:
        """`count` documents, evenly of all labels."""
        for _ in range(count):
            label = self._labels[int(rng.integers(len(self._labels)))]
            yield self._document(_pick(rng, self._by_label[label]), rng)

    def _document(self, clip: ClipTexts, rng: Generator) -> Document:
        task, label, answer = self._question(clip, rng)
        said = _pick(rng, self._said)
        words = instruction(task, self._labels, label=label, rng=rng)
        prompt = self._template.prompt(text=said, tag=task.tag, instruction=words)
        if clip.text:
            answer = answer.replace(clip.text, said)
        naming = 0.0 if task.name == EXPLAIN else LABEL_HINTS
        return Document(self._filled(prompt, clip, naming, rng), answer)

    def _question(self, clip: ClipTexts, rng: Generator) -> tuple[Task, str, str]:
        """A task, the label it may state and its answer.

        The stated label is any, not the clip's: were it more often the clip's, the label could be guessed
        from the rest of the reason, and a base settles for that.
        """
        shares = {name: share for name, share in TASK_SHARES.items() if clip.answer(TASKS[name].target)}
        chances = np.array(list(shares.values()))
        task = TASKS[str(rng.choice(list(shares), p=chances / chances.sum()))]
        answer = clip.answer(task.target)
        if task.name != EXPLAIN:
            return task, clip.label, answer
        label = _pick(rng, self._labels)
        return task, label, re.sub(rf"\b{re.escape(clip.label)}\b", label, answer)

    def _filled(self, prompt: Prompt, clip: ClipTexts, naming: float, rng: Generator) -> tuple[str, ...]:
        """The prompt with every slot turned into the words of hints, a share `naming` of them labels."""
        slots = sum(isinstance(part, Slot) and part.name != PATCHES_SLOT for part in prompt)
        count = int(rng.integers(2, self._most + 1))
        hints = [self._hint(clip.label, naming, rng) for _ in range(count)]
        for clue in clip.clues:
            hints.insert(int(rng.integers(len(hints) + 1)), clue)
        short = [
            self._word(rng, _pick(rng, clip.clues))
            if rng.random() < 0.7
            else self._hint(clip.label, naming, rng)
            for _ in range(slots)
        ]
        filled = []
        for part in prompt:
            if not isinstance(part, Slot):
                filled.append(part)
            elif part.name == PATCHES_SLOT:
                filled.append(" " + " ".join(hints))
            else:
                filled.append(" " + short.pop())
        return tuple(filled)

    def _word(self, rng: Generator, phrase: str) -> str:
        """One telling word of a phrase, or now and then all of them."""
        words = [word for word in phrase.split() if word not in self._common] or phrase.split()
        return " ".join(words) if rng.random() < WHOLE_PHRASE else _pick(rng, words)

    def _hint(self, label: str, naming: float, rng: Generator) -> str:
        shown = label if rng.random() < self._purity else _pick(rng, self._labels)
        if rng.random() < naming:
            return shown
        return self._word(rng, _pick(rng, self._clues[shown]))


def _pick(rng: Generator, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]


def _common_words(texts: Sequence[ClipTexts]) -> frozenset[str]:
    """Words in the clues of most clips: they hint at nothing."""
    counts = Counter(word for text in texts for word in {w for clue in text.clues for w in clue.split()})
    return frozenset(word for word, count in counts.items() if count > COMMON * len(texts))
