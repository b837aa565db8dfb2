"""What an epoch is made of: tasks, clips, labels, all drawn from (seed, epoch, clip id)."""

from collections import Counter
from dataclasses import replace

import pytest

from emo.config.llm import StageConfig
from emo.labels import MER2023
from emo.llm.mixture import draw_epoch


def epoch_of(texts, stage, number=0, labels=MER2023):
    return draw_epoch(texts, stage, labels, seed=0, epoch=number)


def test_a_clip_is_asked_several_different_tasks_side_by_side(texts):
    stage = StageConfig(tasks={"emotion": 0.6, "caption": 0.2, "reason": 0.2}, tasks_per_clip=3)
    examples = epoch_of(texts, stage)
    assert len(examples) == 3 * len(texts)
    for start in range(0, len(examples), 3):
        group = examples[start : start + 3]
        assert len({one.clip_id for one in group}) == 1
        assert {one.task for one in group} == set(stage.tasks)


def test_a_clip_with_fewer_answers_is_asked_fewer_tasks(texts):
    mute = [replace(text, caption="") for text in texts]
    stage = StageConfig(tasks={"emotion": 0.5, "caption": 0.5}, tasks_per_clip=2)
    assert Counter(one.task for one in epoch_of(mute, stage)) == {"emotion": len(texts)}


@pytest.mark.parametrize("number", [0, 1])
def test_shares_hold_for_the_first_of_several_tasks(kit, number):
    stage = StageConfig(tasks={"emotion": 0.8, "caption": 0.2}, tasks_per_clip=2)
    examples = epoch_of(kit.texts(300), stage, number)
    first = Counter(one.task for one in examples[::2])
    assert 0.72 < first["emotion"] / 300 < 0.88
