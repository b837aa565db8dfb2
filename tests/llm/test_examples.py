"""What an epoch is made of: tasks, clips, labels, all drawn from (seed, epoch, clip id)."""

from collections import Counter
from dataclasses import replace

import pytest

from emo.config.llm import StageConfig
from emo.errors import ConfigError
from emo.labels import MER2023
from emo.llm.examples import question
from emo.llm.mixture import draw_epoch, refuse_empty_stages, validation_clips


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


def test_a_stage_takes_the_clips_and_the_labels_of_its_list(texts):
    listed = [replace(text, sets=("pseudo",), list_labels={"pseudo": "sad"}) for text in texts[:10]]
    stage = StageConfig(tasks={"emotion": 1.0}, clips="pseudo", labels_from="pseudo")
    examples = epoch_of([*listed, *texts[10:]], stage)
    assert {one.clip_id for one in examples} == {text.clip_id for text in texts[:10]}
    assert {one.answer for one in examples} == {"sad"}


def test_a_listed_clip_without_a_label_is_not_taught_the_manifests(texts):
    listed = [replace(texts[0], sets=("pseudo",)), replace(texts[1], list_labels={"pseudo": "sad"})]
    stage = StageConfig(tasks={"emotion": 1.0}, labels_from="pseudo")
    assert [one.clip_id for one in epoch_of(listed, stage)] == [texts[1].clip_id]


def mixed(kit):
    return [
        replace(text, sets=("fine",) if number < 20 else ("pseudo",))
        for number, text in enumerate(kit.texts(200))
    ]


def test_sample_ratios_are_shares_of_an_epoch(kit):
    texts = mixed(kit)
    fine = {text.clip_id for text in texts[:20]}
    stage = StageConfig(tasks={"emotion": 1.0}, sample_ratios={"fine": 0.5, "pseudo": 0.5})
    examples = epoch_of(texts, stage)
    visits = Counter(one.clip_id for one in examples)
    assert {visits[name] for name in fine} == {5}
    rest = sum(count for name, count in visits.items() if name not in fine)
    assert 80 <= rest <= 120 and max(visits[name] for name in visits.keys() - fine) == 1
    assert epoch_of(texts, stage) == examples != epoch_of(texts, stage, 1)
    assert visits != Counter(one.clip_id for one in epoch_of(texts, stage, 1))


def test_a_set_with_share_0_is_left_out(kit):
    stage = StageConfig(tasks={"emotion": 1.0}, sample_ratios={"fine": 1.0, "pseudo": 0.0})
    visits = Counter(one.clip_id for one in epoch_of(mixed(kit), stage))
    assert visits == {f"clip{number}": 1 for number in range(20)}
    inside = validation_clips(mixed(kit), stage)
    assert [clip.clip_id for clip in inside] == [f"clip{number}" for number in range(20)]


def test_a_fixed_instruction_is_the_one_of_prediction(texts):
    tasks = {"emotion": 0.5, "caption": 0.5}
    asked = {fixed: set() for fixed in (True, False)}
    for fixed, words in asked.items():
        stage = StageConfig(tasks=tasks, fixed_instruction=fixed)
        words |= {one.instruction for number in range(5) for one in epoch_of(texts, stage, number)}
    assert asked[True] == {question(texts[0], task, MER2023).instruction for task in tasks}
    assert asked[False] > asked[True]


def test_visits_of_a_clip_are_drawn_apart(kit):
    stage = StageConfig(tasks={"emotion": 0.5, "caption": 0.5}, sample_ratios={"fine": 1.0, "pseudo": 0.01})
    tasks = {}
    for one in epoch_of(mixed(kit), stage):
        tasks.setdefault(one.clip_id, set()).add(one.task)
    assert all(tasks[f"clip{number}"] == {"emotion", "caption"} for number in range(20))


def test_neutral_is_left_out_of_questions_about_other_classes(kit):
    stage = StageConfig(tasks={"emotion": 1.0}, neutral_free=0.5)
    asked = Counter(
        (one.answer == "neutral", "neutral" in one.instruction) for one in epoch_of(kit.texts(300), stage)
    )
    assert asked[True, False] == 0
    assert 0.4 < asked[False, False] / (asked[False, False] + asked[False, True]) < 0.6


def test_a_stage_may_have_a_label_set_of_its_own(texts):
    stage = StageConfig(tasks={"emotion": 1.0}, labels=("sad", "happy"))
    examples = epoch_of(texts, stage)
    assert {one.answer for one in examples} == {"sad", "happy"}
    assert all("angry" not in one.instruction for one in examples)


def test_a_stage_without_clips_is_refused_before_the_first_one_trains(texts):
    stages = {
        "first": StageConfig(tasks={"emotion": 1.0}),
        "second": StageConfig(tasks={"emotion": 1.0}, clips="pseudo"),
        "third": StageConfig(tasks={"emotion": 1.0}, labels_from="rounds"),
        "fourth": StageConfig(tasks={"emotion": 1.0}, labels=("doubt",)),
    }
    with pytest.raises(ConfigError) as caught:
        refuse_empty_stages(texts, [], stages, MER2023)
    second, third, fourth = caught.value.mistakes
    assert "stage second: no training clip is in 'pseudo'" in second and "--list pseudo=FILE" in second
    assert "--list rounds=FILE" in third
    assert "stage fourth: none of 36 training clips has an answer" in fourth


def test_validation_falls_back_on_all_clips_under_the_manifests_labels(texts):
    stage = StageConfig(tasks={"emotion": 1.0}, clips="pseudo", labels_from="pseudo")
    assert validation_clips(texts, stage) == texts
    listed = replace(texts[0], sets=("pseudo",), list_labels={"pseudo": "sad"})
    assert validation_clips([listed, *texts[1:]], stage) == [replace(listed, label="sad")]


def test_clips_of_labels_that_are_left_out_are_asked_nothing(texts):
    stage = StageConfig(tasks={"reason": 1.0}, leave_out=("neutral",))
    asked = {one.clip_id for one in epoch_of(texts, stage)}
    assert asked == {text.clip_id for text in texts if text.label != "neutral"}
