"""Reading ahead gives the same features in the same order, fails where they are asked for, and ends."""

import threading
from dataclasses import replace
from itertools import islice

import pytest
import torch

from emo.errors import CacheMiss
from emo.labels import MER2023
from emo.llm.features import HeldFeatures
from emo.llm.prompts import TEMPLATES
from emo.llm.training.ahead import STEPS_AHEAD, reading_ahead
from emo.llm.training.course import Course
from emo.llm.training.forward import clips_of
from emo.llm.training.plan import Cursor, steps_from


@pytest.fixture
def course(model, cached, texts):
    return Course(
        model=model, features=cached, template=TEMPLATES["emo"], labels=MER2023, train=texts, valid=()
    )


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("features")]


def test_cached_and_held_features_say_the_same_of_themselves(cached, batch):
    held = HeldFeatures(batch)
    assert cached.shapes == held.shapes
    assert cached.present(batch.clip_ids) == held.present(batch.clip_ids)


def test_what_was_read_ahead_is_what_would_have_been_read(course, cached, config):
    stage = replace(config.stages["coarse"], row_tokens=256)
    plain = list(islice(steps_from(course, stage, Cursor()), 6))
    ahead = reading_ahead(cached, steps_from(course, stage, Cursor()))
    for (cursor, step), (expected, same) in zip(islice(ahead, 6), plain, strict=True):
        assert (cursor, step) == (expected, same)
        for micro in step:
            assert len(cached._expected) >= STEPS_AHEAD
            found, again = cached.read(clips_of(micro)), HeldFeatures(cached._load(clips_of(micro)))
            for name, value in again.read(clips_of(micro)).values.items():
                assert torch.equal(found.values[name], value)
    ahead.close()
    assert not readers() and not cached._expected


def test_reads_that_were_not_expected_come_between(cached, batch):
    first, second, other = batch.clip_ids[:2], batch.clip_ids[2:4], batch.clip_ids[7:9]
    cached.expect(first)
    cached.expect(second)
    assert cached.read(other).clip_ids == other
    assert cached.read(first).clip_ids == first
    assert cached.read(second).clip_ids == second
    cached.forget()


def test_a_failure_comes_out_where_the_features_are_asked_for(cached, batch):
    cached.expect(batch.clip_ids[:2])
    cached.expect(["somebody"])
    assert cached.read(batch.clip_ids[:2]).clip_ids == batch.clip_ids[:2]
    with pytest.raises(CacheMiss, match="somebody"):
        cached.read(["somebody"])
    cached.forget()


def test_features_in_memory_need_no_thread(features, course, config):
    ahead = reading_ahead(features, steps_from(course, config.stages["coarse"], Cursor()))
    next(ahead)
    assert not readers()


def test_only_the_own_micro_batches_are_read(course, config):
    said = []

    class Listening(HeldFeatures):
        def expect(self, clip_ids):
            said.append(clip_ids)

    features = Listening(course.features.read([clip.clip_id for clip in course.train]))
    stage = replace(config.stages["coarse"], row_tokens=256)
    steps = steps_from(course, stage, Cursor(), ranks=2)
    first, *_ = islice(reading_ahead(features, steps, lambda step: step[1:]), 2)
    assert said[: len(first[1]) - 1] == [clips_of(micro) for micro in first[1][1:]]
