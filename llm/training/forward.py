"""From a micro-batch of examples to its loss: features read, modalities dropped, prompts spliced.

Modalities are dropped by draws named by stage, step and clip, so they do not depend on how a step was cut
into micro-batches, on what ran before, or on the rank; a clip's tasks lose the same ones. Dropout in the
adapters is named by the micro-batch, so it is the same again where the cut is. Steps no optimiser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from emo.config.llm import StageConfig
from emo.heads.batches import FeatureBatch, drop_modalities, sample_views
from emo.llm.examples import ask, generator_for
from emo.llm.model import AnswerLoss
from emo.llm.training.course import Course
from emo.llm.training.plan import Micro, Step


@dataclass(frozen=True, slots=True)
class Moment:
    """A step of a stage, as the name of its random draws."""

    stage: str
    step: int

    def seed(self, course: Course, what: str) -> int:
        """The seed of one draw."""
        return int(generator_for(course.seed, self.step, f"{self.stage}/{what}").integers(2**63))


def answer_tokens(course: Course, step: Step) -> int:
    """Supervised tokens of a step, on all ranks."""
    return sum(len(course.answer_ids(example)) for micro in step for example in micro)


def micro_loss(course: Course, config: StageConfig, micro: Micro, moment: Moment, number: int) -> AnswerLoss:
    """Summed loss of the answers of a micro-batch, the `number`-th of its step, in training mode.

    The global random state is left as it was.
    """
    features = _features(course, config, clips_of(micro), moment)
    prompts = [ask(course.template, example) for example in micro]
    answers = [course.answer_ids(example) for example in micro]
    rows = [features.clip_ids.index(example.clip_id) for example in micro]
    with torch.random.fork_rng(devices=_devices(course)):
        torch.manual_seed(moment.seed(course, f"dropout {number}"))
        if config.layout == "packed":
            spliced = course.model.pack(prompts, features, answers, rows)
        else:
            spliced = course.model.embed(prompts, features.take(rows), answers)
        return course.model.answer_loss(spliced)


def clips_of(micro: Micro) -> list[str]:
    """The clips of a micro-batch, each once: what `micro_loss` reads the features of."""
    return list(dict.fromkeys(example.clip_id for example in micro))


def _features(course: Course, config: StageConfig, clip_ids: Sequence[str], moment: Moment) -> FeatureBatch:
    batch = _sampled(course, clip_ids, moment)
    if not config.modality_dropout:
        return batch
    generator = torch.Generator()
    rows = []
    for row, clip_id in enumerate(clip_ids):
        generator.manual_seed(moment.seed(course, f"modalities {clip_id}"))
        rows.append(drop_modalities(batch.take([row]), config.modality_dropout, generator).masks)
    masks = {name: torch.cat([row[name] for row in rows]) for name in batch.masks}
    return FeatureBatch(batch.clip_ids, batch.values, masks, batch.sources)


def _sampled(course: Course, clip_ids: Sequence[str], moment: Moment) -> FeatureBatch:
    """The features of the clips, each plain or of a version drawn for the step and the clip alone."""
    batch = course.features.read(clip_ids)
    versions = [each.read(clip_ids) for each in course.augmented]
    if not versions:
        return batch
    generator = torch.Generator()
    rows = []
    for row, clip_id in enumerate(clip_ids):
        generator.manual_seed(moment.seed(course, f"views {clip_id}"))
        rows.append(sample_views(batch.take([row]), [one.take([row]) for one in versions], generator).values)
    return batch.with_values({name: torch.cat([row[name] for row in rows]) for name in batch.values})


def _devices(course: Course) -> list[int]:
    index = course.model.device.index
    return [] if course.model.device.type == "cpu" or index is None else [index]
