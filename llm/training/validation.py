"""Validation of a stage: loss and label score on speakers that are not trained on, and the best weights.

Chooses among weights; trains nothing, and never sees a test clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite

import torch
from torch import Tensor, nn

from emo.clip import Example
from emo.config.llm import StageConfig
from emo.evaluation.metrics import classification_scores
from emo.llm.examples import ClipTexts, ask, question
from emo.llm.mixture import draw_each, labels_of, validation_clips
from emo.llm.scoring import label_log_likelihoods
from emo.llm.sharding import laid_out_as, whole
from emo.llm.splice import Spliced
from emo.llm.training.course import Course
from emo.llm.training.plan import in_order
from emo.llm.training.stopping import Stop

VALIDATION_EPOCH = 2**31  # no training epoch gets there, so validation draws are its own and always the same
SCORING_BATCH = 32


@torch.no_grad()
def validate(course: Course, config: StageConfig, stop: Stop) -> tuple[float, float | None]:
    """Loss per supervised token on the validation clips, and weighted F1 of their scored labels.

    F1 is None where no validation clip has a label. StopAsked between two batches.
    """
    model = course.model.eval()
    clips = validation_clips(course.valid, config)
    examples = draw_each(clips, config, course.labels, seed=course.seed, epoch=VALIDATION_EPOCH)
    total, tokens = 0.0, 0
    for batch in in_order(examples, config.batch_size):
        stop.check()
        loss = model.answer_loss(_spliced(course, batch))
        total, tokens = total + float(loss.total), tokens + loss.tokens
    return total / tokens, _label_score(course, clips, labels_of(config, course.labels), stop)


def _spliced(course: Course, batch: Sequence[Example]) -> Spliced:
    prompts = [ask(course.template, example) for example in batch]
    features = course.features.read([example.clip_id for example in batch])
    return course.model.embed(prompts, features, [course.answer_ids(one) for one in batch])


def _label_score(
    course: Course, clips: Sequence[ClipTexts], labels: Sequence[str], stop: Stop
) -> float | None:
    labelled = [clip for clip in clips if clip.label in labels]
    if not labelled:
        return None
    predicted: list[str | None] = []
    for batch in in_order(labelled, SCORING_BATCH):
        stop.check()
        prompts = [ask(course.template, question(clip, "emotion", labels)) for clip in batch]
        features = course.features.read([clip.clip_id for clip in batch])
        scores = label_log_likelihoods(course.model, prompts, features, labels)
        predicted += [labels[place] for place in scores.argmax(dim=1).tolist()]
    truth = [clip.label for clip in labelled]
    return classification_scores(truth, predicted, labels).weighted_f1


class Best:
    """The trained weights that were best on validation so far: by F1, then by loss.

    `step` 0 says that none are kept yet.
    """

    def __init__(self) -> None:
        self.step = 0
        self.loss = inf
        self.score: float | None = None
        self.weights: dict[str, Tensor] = {}

    def offer(self, step: int, loss: float, score: float | None, trained: Mapping[str, nn.Parameter]) -> bool:
        """Keep a copy of `trained` where it beats what is kept; never where its loss is not finite."""
        if not isfinite(loss) or (self.step and not _rank(loss, score) > _rank(self.loss, self.score)):
            return False
        self.step, self.loss, self.score = step, loss, score
        self.weights = {name: whole(value.detach()).cpu().clone() for name, value in trained.items()}
        return True

    @torch.no_grad()
    def restore(self, trained: Mapping[str, nn.Parameter]) -> None:
        """Write the kept weights back; nothing where none were kept."""
        for name, value in self.weights.items():
            trained[name].copy_(laid_out_as(trained[name], value))


def _rank(loss: float, score: float | None) -> tuple[float, float]:
    return (0.0 if score is None else score, -loss)
