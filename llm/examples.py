"""What a stage trains on: the texts of clips, the examples drawn from them, and their order.

Every draw comes from a generator made of (seed, epoch, clip id), so an example does not depend on how
clips are batched or spread. Knows no sets of clips, features, tokens or files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.random import Generator

from emo.canonical import Json
from emo.clip import Clip, Example
from emo.config.llm import COARSE, FINE, LABELLED, StageConfig
from emo.llm.prompts import Prompt, Task, Template, instruction, task_named

NEUTRAL = "neutral"  # the class that a neutral-free question leaves out


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipTexts:
    """What is written about one clip. "" where nothing is: such a clip is left out of tasks that need it.

    `text` is what the person says; `clues` are words for what is seen and heard, used to make a tiny base.
    `sets` names the sets of clips that it belongs to, for the `clips` of a stage; `list_labels` holds the
    labels that named lists give it, such as pseudo-labels.
    """

    clip_id: str
    text: str = ""
    label: str = ""
    caption: str = ""
    reason: str = ""
    clues: tuple[str, ...] = ()
    speaker: str = ""
    sets: tuple[str, ...] = ()
    list_labels: Mapping[str, str] = field(default_factory=dict)

    def answer(self, target: str) -> str:
        """The text that answers a task with this target: label, caption or reason."""
        return {"label": self.label, "caption": self.caption, "reason": self.reason}[target]


def texts_from_merr(
    clips: Iterable[Clip], coarse: Mapping[str, Mapping[str, Json]], fine: Mapping[str, Mapping[str, Json]]
) -> list[ClipTexts]:
    """Texts of `clips` from MERR dicts keyed by clip id; a clip in neither keeps its label and words.

    Source of the keys: MERR, spec of the coarse and fine JSON (Emotion-LLaMA README, section MERR).
    """
    found = []
    for clip in clips:
        rough, smooth = coarse.get(clip.clip_id, {}), fine.get(clip.clip_id, {})
        member = {COARSE: bool(rough), FINE: bool(smooth), LABELLED: bool(clip.label)}
        entry = {**rough, **smooth}
        phrases = cast(list[Json], entry.get("visual_prior_list") or [])
        tone = str(entry.get("audio_prior_list") or "")
        found.append(
            ClipTexts(
                clip_id=clip.clip_id,
                text=clip.text or str(smooth.get("text", "")),
                label=clip.label or str(entry.get("pseu_emotion", "")),
                caption=str(entry.get("caption", "")),
                reason=str(smooth.get("smp_reason_caption", "")),
                clues=tuple(str(phrase) for phrase in (*phrases, tone) if phrase),
                speaker=clip.speaker or clip.clip_id,
                sets=tuple(name for name, inside in member.items() if inside),
            )
        )
    return found


def generator_for(seed: int, epoch: int, name: str) -> Generator:
    """The generator of one clip in one epoch."""
    words = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], dtype=np.uint32)
    return np.random.default_rng([seed, epoch, *words.tolist()])


def draw(texts: ClipTexts, stage: StageConfig, labels: Sequence[str], rng: Generator) -> list[Example]:
    """Examples about a clip: `stage.tasks_per_clip` different tasks, drawn by their shares among those the
    clip has an answer for. Fewer where it has no more answers, none where it has none.
    """
    tasks = [(task_named(name), share) for name, share in stage.tasks.items() if share > 0]
    open_tasks = [(task, share) for task, share in tasks if _answerable(texts, task, labels)]
    drawn: list[Example] = []
    while open_tasks and len(drawn) < stage.tasks_per_clip:
        shares = np.array([share for _, share in open_tasks])
        task, _ = open_tasks.pop(int(rng.choice(len(open_tasks), p=shares / shares.sum())))
        drawn.append(_example(texts, task, stage, labels, rng))
    return drawn


def _example(
    texts: ClipTexts, task: Task, stage: StageConfig, labels: Sequence[str], rng: Generator
) -> Example:
    named = labels
    if stage.neutral_free and texts.label != NEUTRAL and rng.random() < stage.neutral_free:
        named = [label for label in labels if label != NEUTRAL]
    words = instruction(task, named, label=texts.label, rng=None if stage.fixed_instruction else rng)
    return Example(
        clip_id=texts.clip_id,
        task=task.name,
        instruction=words,
        answer=texts.answer(task.target),
        text=texts.text,
    )


def answerable(texts: ClipTexts, stage: StageConfig, labels: Sequence[str]) -> bool:
    """Whether the clip has an answer for any of the stage's tasks."""
    return any(_answerable(texts, task_named(name), labels) for name, share in stage.tasks.items() if share)


def _answerable(texts: ClipTexts, task: Task, labels: Sequence[str]) -> bool:
    """A label of another set is none: the model is never taught an answer that it may not give."""
    return bool(texts.answer(task.target)) and (texts.label in labels or not task.needs_label)


def ask(template: Template, example: Example) -> Prompt:
    """The prompt of an example in a layout."""
    tag = task_named(example.task).tag
    return template.prompt(text=example.text, tag=tag, instruction=example.instruction)


def question(texts: ClipTexts, task_name: str, labels: Sequence[str], *, label: str = "") -> Example:
    """The example asked at prediction: the task's first instruction, no answer."""
    words = instruction(task_named(task_name), labels, label=label)
    return Example(clip_id=texts.clip_id, task=task_name, instruction=words, text=texts.text)
