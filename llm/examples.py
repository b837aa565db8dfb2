"""What a stage trains on: the texts of clips, the examples drawn from them, and their order.

Every draw comes from a generator made of (seed, epoch, clip id), so an example does not depend on how
clips are batched or spread. Knows no features, tokens or files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.random import Generator

from emo.canonical import Json
from emo.clip import Clip, Example
from emo.config.llm import StageConfig
from emo.errors import ConfigError
from emo.llm.prompts import Prompt, Task, Template, instruction, task_named


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipTexts:
    """What is written about one clip. "" where nothing is: such a clip is left out of tasks that need it.

    `text` is what the person says; `clues` are words for what is seen and heard, used to make a tiny base.
    """

    clip_id: str
    text: str = ""
    label: str = ""
    caption: str = ""
    reason: str = ""
    clues: tuple[str, ...] = ()
    speaker: str = ""

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
    drawn = []
    while open_tasks and len(drawn) < stage.tasks_per_clip:
        shares = np.array([share for _, share in open_tasks])
        task, _ = open_tasks.pop(int(rng.choice(len(open_tasks), p=shares / shares.sum())))
        drawn.append(_example(texts, task, stage, labels, rng))
    return drawn


def _example(
    texts: ClipTexts, task: Task, stage: StageConfig, labels: Sequence[str], rng: Generator
) -> Example:
    words = instruction(task, labels, label=texts.label, rng=None if stage.fixed_instruction else rng)
    return Example(
        clip_id=texts.clip_id,
        task=task.name,
        instruction=words,
        answer=texts.answer(task.target),
        text=texts.text,
    )


def _answerable(texts: ClipTexts, task: Task, labels: Sequence[str]) -> bool:
    """A label of another set is none: the model is never taught an answer that it may not give."""
    return bool(texts.answer(task.target)) and (texts.label in labels or not task.needs_label)


def draw_epoch(
    clips: Sequence[ClipTexts], stage: StageConfig, labels: Sequence[str], *, seed: int, epoch: int
) -> list[Example]:
    """The examples of every clip that has an answer: clips in a shuffled order, a clip's own side by side.

    ConfigError where no clip has one.
    """
    drawn = [draw(clip, stage, labels, generator_for(seed, epoch, clip.clip_id)) for clip in clips]
    groups = [group for group in drawn if group]
    if not groups:
        raise ConfigError(
            f"none of {len(clips)} clips has an answer for the tasks {', '.join(stage.tasks)}. "
            "Give MERR-style JSON with --merr, or labels in the manifest."
        )
    order = generator_for(seed, epoch, "").permutation(len(groups))
    return [example for place in order for example in groups[place]]


def ask(template: Template, example: Example) -> Prompt:
    """The prompt of an example in a layout."""
    tag = task_named(example.task).tag
    return template.prompt(text=example.text, tag=tag, instruction=example.instruction)


def question(texts: ClipTexts, task_name: str, labels: Sequence[str], *, label: str = "") -> Example:
    """The example asked at prediction: the task's first instruction, no answer."""
    words = instruction(task_named(task_name), labels, label=label)
    return Example(clip_id=texts.clip_id, task=task_name, instruction=words, text=texts.text)
