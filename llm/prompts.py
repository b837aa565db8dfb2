"""Prompts: text and named slots, the two layouts of the official code, and the questions that are asked.

A slot says where the vectors of a feature go; this module knows no tokenizer, tensor or model.
Only the strings that drive released weights are quoted from the official code (Emotion-LLaMA at commit
4ee28d2: first_face.py, minigpt_base.py, conversation.py); the other questions are our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from numpy.random import Generator

from emo.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Slot:
    """The place in a prompt where the projected vectors of one feature stand."""

    name: str


Prompt: TypeAlias = tuple[str | Slot, ...]
Target = Literal["label", "caption", "reason"]

INST, END_INST = "[INST] ", " [/INST]"
VIDEO, END_VIDEO = "<video>", "</video>"
FEATURE, END_FEATURE = "<feature>", "</feature>"
FEATURE_MARK = "<FeatureHere>"
LITERAL_BOS = "<s>"
SPOKEN = "The person in video says: {text}. "
OFFICIAL_EMOTION = "Please determine which emotion label in the video represents: {labels}."
OFFICIAL_REASON = (
    "Please analyze all the clues in the video and reason out the emotional label of the person in the video."
)

PATCHES = Slot("eva_patches")
UTTERANCES = (Slot("mae"), Slot("videomae"), Slot("hubert"), Slot("eva_class"))


@dataclass(frozen=True, slots=True)
class Template:
    """A layout: `head` is what stands before the words of the clip, with the slots in their order, `tail`
    what stands between slots and words, `end` what closes the question and opens the answer."""

    name: str
    head: Prompt
    tail: str
    end: str = f" {END_INST}"

    def prompt(self, *, text: str, tag: str, instruction: str) -> Prompt:
        """The prompt that asks `instruction` about a clip in which `text` is said ("" leaves the line out).

        The doubled spaces are the official ones: the subtitle line and the instruction end with a space.
        """
        spoken = SPOKEN.format(text=text) if text else ""
        return (*self.head, f"{self.tail} {spoken} [{tag}] {instruction}{self.end}")


TEMPLATES: Mapping[str, Template] = {
    # The layout the official model is trained with.
    "emo": Template(
        "emo",
        (INST + VIDEO, PATCHES, f"{END_VIDEO} {FEATURE}", *UTTERANCES),
        END_FEATURE,
    ),
    # The layout of the official generate(): all vectors in the first place, the second mark left as text,
    # and a BOS written out besides the one that the tokenizer adds.
    "official-eval": Template(
        "official-eval",
        (LITERAL_BOS + INST + VIDEO, PATCHES, *UTTERANCES),
        f"{END_VIDEO} {FEATURE}{FEATURE_MARK}{END_FEATURE}",
    ),
    # The training layout between the marks of other chat models, for bases whose tokenizer has those marks.
    "chatml": Template(
        "chatml",
        (f"<|im_start|>user\n{VIDEO}", PATCHES, f"{END_VIDEO} {FEATURE}", *UTTERANCES),
        END_FEATURE,
        "<|im_end|>\n<|im_start|>assistant\n",
    ),
    "llama-3": Template(
        "llama-3",
        (
            f"<|start_header_id|>user<|end_header_id|>\n\n{VIDEO}",
            PATCHES,
            f"{END_VIDEO} {FEATURE}",
            *UTTERANCES,
        ),
        END_FEATURE,
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
}


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of question: the tag printed in the prompt, what answers it, and ways of asking.

    The first instruction is the one used at prediction and in evaluation.
    """

    name: str
    tag: str
    target: Target
    instructions: tuple[str, ...]

    @property
    def needs_label(self) -> bool:
        """Whether a clip without a label has nothing to answer or to be asked."""
        return self.target == "label" or any("{label}" in words for words in self.instructions)


_REASON_QUESTIONS = (
    OFFICIAL_REASON,
    "Which clues in face, voice and words tell what this person feels, and what do they add up to?",
    "Weigh what you see and hear in the clip and conclude which emotion the person expresses.",
)

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            "emotion",
            "emotion",
            "label",
            (
                OFFICIAL_EMOTION,
                "Pick the label that fits the person in the clip best: {labels}.",
                "Which of these does the person express: {labels}?",
            ),
        ),
        Task(
            "caption",
            "caption",
            "caption",
            (
                "Describe the face, the voice and the behaviour of the person.",
                "What can be seen and heard in this clip?",
            ),
        ),
        Task("reason", "reason", "reason", _REASON_QUESTIONS),
        # What the official code calls `reason`: the coarse caption answers the reasoning question.
        Task("reason_coarse", "reason", "caption", _REASON_QUESTIONS),
        # The identifier printed by the official second stage.
        Task("reason_v2", "reason_v2", "reason", _REASON_QUESTIONS),
        # The reason for a label that is already decided; at prediction it is the model's own.
        Task(
            "explain",
            "reason",
            "reason",
            (
                "The label is {label}. Explain which clues in the video lead to it.",
                "The label is {label}. What in the face, the voice and the words supports that?",
            ),
        ),
    )
}


def template_named(name: str, slots: Sequence[str] | None = None) -> Template:
    """The layout of that name, without the slots that are not among `slots` where these are given; the tags
    stay. ConfigError names the known layouts."""
    if name not in TEMPLATES:
        raise ConfigError(f"no prompt template {name!r}. Known: {', '.join(TEMPLATES)}.")
    template = TEMPLATES[name]
    if slots is None:
        return template
    head = tuple(part for part in template.head if isinstance(part, str) or part.name in slots)
    return replace(template, head=head)


def task_named(name: str) -> Task:
    """The task of that name; ConfigError names the known ones."""
    if name not in TASKS:
        raise ConfigError(f"no task {name!r}. Known: {', '.join(TASKS)}.")
    return TASKS[name]


def instruction(task: Task, labels: Sequence[str], *, label: str = "", rng: Generator | None = None) -> str:
    """The words of a question: drawn from the pool by `rng`, the first of the pool without one.

    `label` fills the questions that state it; ConfigError where such a question gets none.
    """
    pool = task.instructions
    words = pool[0] if rng is None else pool[int(rng.integers(len(pool)))]
    if "{label}" in words and not label:
        raise ConfigError(f"task {task.name!r} asks about a label that is already known: give label=.")
    return words.format(labels=", ".join(labels), label=label)
