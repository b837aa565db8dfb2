"""The plan: nothing lost, the same for the same seed, rows within budget, lengths as the model has them."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from emo.heads.projectors import projectors_for
from emo.labels import MER2023
from emo.llm.examples import ask
from emo.llm.features import HeldFeatures
from emo.llm.packing.balance import imbalance, shares
from emo.llm.prompts import TEMPLATES
from emo.llm.training.course import Course
from emo.llm.training.forward import clips_of
from emo.llm.training.plan import Cursor, epoch_steps, group_by_length, micro_lengths, steps_from


@pytest.fixture
def course(model, batch, texts):
    masks = dict(batch.masks)
    masks["eva"] = torch.arange(len(texts)) % 3 > 0  # some clips have no picture
    features = HeldFeatures(replace(batch, masks=masks))
    return Course(
        model=model, features=features, template=TEMPLATES["emo"], labels=MER2023, train=texts, valid=()
    )


@pytest.fixture
def stage(config):
    tasks = {"emotion": 1.0, "caption": 1.0, "reason": 1.0}
    return replace(config.stages["coarse"], tasks=tasks, batch_size=6, row_tokens=512)


def packed(course, micro):
    clips = clips_of(micro)
    answers = [course.answer_ids(example) for example in micro]
    prompts = [ask(course.template, example) for example in micro]
    rows = [clips.index(example.clip_id) for example in micro]
    return course.model.pack(prompts, course.features.read(clips), answers, rows)


@pytest.mark.parametrize("tasks_per_clip", [1, 3])
@pytest.mark.parametrize("rows_per_step", [0, 2])
@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_an_epoch_has_every_clip_once_and_is_the_same_again(
    course, stage, layout, rows_per_step, tasks_per_clip
):
    stage = replace(stage, layout=layout, rows_per_step=rows_per_step, tasks_per_clip=tasks_per_clip)
    steps = epoch_steps(course, stage, 3)
    assert steps == epoch_steps(course, stage, 3) != epoch_steps(course, stage, 4)
    asked = [(example.clip_id, example.task) for step in steps for micro in step for example in micro]
    assert len(set(asked)) == len(asked) == len(course.train) * tasks_per_clip
    assert {clip_id for clip_id, _ in asked} == {clip.clip_id for clip in course.train}


@pytest.mark.parametrize("tasks_per_clip", [1, 2, 3])
def test_lengths_are_those_of_the_rows_that_the_model_gets(course, stage, tasks_per_clip):
    """Slots counted, absent features too, shared prefixes once."""
    for step in epoch_steps(course, replace(stage, tasks_per_clip=tasks_per_clip), 0):
        for micro, length in zip(step, micro_lengths(course, step), strict=True):
            assert length == packed(course, micro).labels.shape[1]


def test_rows_keep_their_budget_and_the_tasks_of_a_clip_stay_together(course, stage):
    stage = replace(stage, tasks_per_clip=3)
    steps = epoch_steps(course, stage, 0)
    assert max(length for step in steps for length in micro_lengths(course, step)) <= stage.row_tokens
    for step in steps:
        homes = [clip_id for micro in step for clip_id in clips_of(micro)]
        assert len(homes) == len(set(homes)) == stage.batch_size


def test_a_step_of_full_rows_is_full(course, stage):
    stage = replace(stage, rows_per_step=3)
    *steps, _ = epoch_steps(course, stage, 0)
    lengths = [length for step in steps for length in micro_lengths(course, step)]
    assert {len(step) for step in steps} == {3}
    assert sum(lengths) / (len(lengths) * stage.row_tokens) > 0.98


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_clips_of_a_step_are_the_same_for_any_number_of_ranks(course, stage, ranks):
    stage = replace(stage, batch_size=12)
    alone, together = epoch_steps(course, stage, 0), epoch_steps(course, stage, 0, ranks)
    for one, many in zip(alone, together, strict=True):
        assert {example for micro in one for example in micro} == {e for micro in many for e in micro}
        lengths = micro_lengths(course, many)
        dealt = shares(lengths, ranks)
        assert len({len(places) for places in dealt}) == 1
        assert imbalance([sum(lengths[place] for place in places) for places in dealt]) < 1.1


def test_a_cursor_finds_its_place_again(course, stage):
    straight = list(islice(steps_from(course, stage, Cursor()), 14))
    cursor, _ = straight[8]
    assert list(islice(steps_from(course, stage, cursor), 5)) == straight[9:]


def test_slots_take_as_many_tokens_as_their_projectors_make(kit):
    shapes = {"mae": (10,), "videomae": (5, 8), "hubert": (12,), "eva": (9, 6)}
    slots = ("eva_patches", "mae", "videomae", "hubert", "eva_class")
    projectors = projectors_for(slots, {name: shape[-1] for name, shape in shapes.items()}, 4)
    for slot, projector in projectors.items():
        shape = shapes["eva" if slot.startswith("eva") else slot]
        assert projector.tokens(shape) == projector(torch.zeros(1, *shape)).shape[1]


def test_grouping_loses_nothing_and_narrows_a_batch():
    rng = np.random.default_rng(0)
    items = [int(length) for length in rng.integers(10, 200, size=130)]
    batches = list(group_by_length(items, 8, lambda item: item, np.random.default_rng(1)))
    assert sorted(item for batch in batches for item in batch) == sorted(items)
    padded = sum(max(batch) * len(batch) for batch in batches)
    assert sum(items) / padded > 0.85
