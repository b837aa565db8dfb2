"""The loss and gradients of a step do not depend on how it was cut into rows, or on the layout."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from emo.labels import MER2023
from emo.llm.build import assemble
from emo.llm.features import HeldFeatures
from emo.llm.prompts import TEMPLATES
from emo.llm.training.course import Course
from emo.llm.training.forward import Moment, answer_tokens, micro_loss
from emo.llm.training.plan import epoch_steps

MOMENT = Moment("coarse", 5)


@pytest.fixture
def course(base, batch, texts, config, kit):
    config = replace(config, lora=replace(config.lora, dropout=0.0), standardise=False)
    model = assemble(base, kit.dims, config, None, seed=0)
    return Course(
        model=model.train(),
        features=HeldFeatures(batch),
        template=TEMPLATES["emo"],
        labels=MER2023,
        train=texts,
        valid=(),
    )


@pytest.fixture
def stage(config):
    tasks = {"emotion": 1.0, "caption": 1.0, "reason": 1.0}
    return replace(config.stages["coarse"], tasks=tasks, batch_size=12, tasks_per_clip=2)


def outcome(course, stage, ranks=1):
    """Loss and gradients of the first step, as the training loop adds them up."""
    step = epoch_steps(course, stage, 0, ranks)[0]
    course.model.zero_grad()
    tokens, loss = answer_tokens(course, step), 0.0
    for number, micro in enumerate(step):
        part = micro_loss(course, stage, micro, MOMENT, number).total / tokens
        part.backward()
        loss += float(part.detach())
    gradients = [value.grad.flatten() for value in course.model.trained().values() if value.grad is not None]
    return len(step), loss, torch.cat(gradients).clone()


@pytest.mark.parametrize("dropped", [0.0, 0.4], ids=["all features", "modality dropout"])
def test_a_step_has_the_same_gradients_however_it_is_cut(course, stage, dropped):
    stage = replace(stage, modality_dropout=dropped)
    rows, loss, gradients = outcome(course, stage)
    assert rows == 1
    for row_tokens, ranks in ((1024, 1), (300, 1), (16_384, 4)):
        count, other, found = outcome(course, replace(stage, row_tokens=row_tokens), ranks)
        assert count > 1
        assert other == pytest.approx(loss, rel=1e-5)
        assert (found - gradients).norm() / gradients.norm() < 1e-5


def test_the_layouts_agree(course, stage):
    """Batches of one epoch, so that both layouts have the same clips in their only step."""
    stage = replace(stage, batch_size=len(course.train), modality_dropout=0.4)
    _, loss, gradients = outcome(course, stage)
    _, padded, found = outcome(course, replace(stage, layout="padded"))
    assert padded == pytest.approx(loss, rel=1e-5)
    assert (found - gradients).norm() / gradients.norm() < 1e-5


def test_the_tasks_of_a_clip_lose_the_same_modalities(course, stage):
    """Else they could not share their prefix: each clip's features are read once, for all its tasks."""
    seen = []
    pack = course.model.pack
    course.model.pack = lambda *given: seen.append(given) or pack(*given)
    step = epoch_steps(course, stage, 0)[0]
    micro_loss(course, replace(stage, modality_dropout=0.5), step[0], MOMENT, 0)
    [(prompts, features, _, rows)] = seen
    assert len(features) == 12 and len(prompts) == 24
    assert rows == [row for row in range(12) for _ in range(2)]
    assert not all(bool(mask.all()) for mask in features.masks.values())


def test_the_global_random_state_is_left_alone(course, stage):
    before = torch.get_rng_state()
    micro_loss(course, replace(stage, modality_dropout=0.5), epoch_steps(course, stage, 0)[0][0], MOMENT, 0)
    assert_close(torch.get_rng_state(), before)
