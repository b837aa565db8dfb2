"""Stages: they learn, they repeat themselves by seed, they never step on NaN, they keep the best."""

import json
from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
import torch

from emo.config.llm import StageConfig
from emo.errors import CacheMiss, ConfigError, NonFiniteLoss
from emo.labels import MER2023
from emo.llm.build import new_model
from emo.llm.features import HeldFeatures
from emo.llm.mixture import draw_epoch
from emo.llm.prompts import TEMPLATES
from emo.llm.training.course import Course
from emo.llm.training.events import StageDone, StepDone, Validated
from emo.llm.training.optimiser import CarefulStep
from emo.llm.training.runs import RunStarted, chosen_stages, run_stages
from emo.llm.training.schedule import WarmupCosine
from emo.llm.training.stages import train_stage
from emo.llm.training.stopping import Stop
from emo.llm.training.validation import validate


@pytest.fixture
def course(base, features, texts, config):
    model = new_model(base, features, [text.clip_id for text in texts[:24]], config, seed=1)
    return Course(
        model=model,
        features=features,
        template=TEMPLATES["emo"],
        labels=MER2023,
        train=texts[:24],
        valid=texts[24:],
        seed=1,
    )


def weights(model):
    return {name: value.detach().clone() for name, value in model.trained().items()}


def test_a_stage_steps_validates_and_ends(course, config):
    events = list(train_stage(course, "coarse", config.stages["coarse"]))
    assert [type(event) for event in events] == [StepDone, StepDone, Validated, StageDone]
    assert all(np.isfinite(event.loss) and not event.refused for event in events[:2])
    assert events[-1].kept_step == 2
    assert 0 <= events[-1].weighted_f1 <= 1


def test_only_adapters_and_projectors_change(course, config):
    before = {name: value.detach().clone() for name, value in course.model.named_parameters()}
    list(train_stage(course, "coarse", config.stages["coarse"]))
    changed = {
        name for name, value in course.model.named_parameters() if not torch.equal(value, before[name])
    }
    assert changed <= set(course.model.trained())
    assert any("lora_B" in name for name in changed)
    assert any("projectors.hubert" in name for name in changed)


def test_the_same_seed_gives_the_same_weights_whatever_came_before(base, features, texts, config):
    outcomes = []
    for noise in (0, 1):
        torch.manual_seed(noise)
        np.random.seed(noise)
        fresh = replace(base, llama=clone(base.llama))
        model = new_model(fresh, features, [text.clip_id for text in texts], config, seed=1)
        course = Course(
            model=model, features=features, template=TEMPLATES["emo"], labels=MER2023, train=texts, valid=()
        )
        list(train_stage(course, "coarse", config.stages["coarse"]))
        outcomes.append(weights(model))
    assert all(torch.equal(outcomes[0][name], value) for name, value in outcomes[1].items())


def clone(module):
    import copy

    return copy.deepcopy(module)


def test_labels_are_learnt_from_features(base, texts, batch, config):
    """Even an untrained LLaMA learns six directions by heart."""
    stage = StageConfig(
        tasks={"emotion": 1.0},
        steps=40,
        batch_size=12,
        peak_lr=1e-2,
        min_lr=1e-3,
        warmup_lr=1e-3,
        warmup_steps=5,
        clip_norm=1.0,
        validate_every=20,
        fixed_instruction=True,
    )
    features = HeldFeatures(batch)
    config = replace(config, lora=replace(config.lora, rank=16, alpha=16), projector_scale=1.0)
    model = new_model(base, features, [text.clip_id for text in texts[:24]], config, seed=0)
    course = Course(
        model=model,
        features=features,
        template=TEMPLATES["emo"],
        labels=MER2023,
        train=texts[:24],
        valid=texts[24:],
    )
    *_, done = train_stage(course, "coarse", stage)
    assert done.weighted_f1 > 0.6


def test_the_best_weights_are_kept_not_the_last(course, config, monkeypatch):
    marks = iter([(1.0, 0.2), (0.5, 0.9), (0.4, 0.3)])
    seen = []

    def scored(*_):
        seen.append(weights(course.model))
        return next(marks)

    monkeypatch.setattr("emo.llm.training.stages.validate", scored)
    stage = replace(config.stages["coarse"], steps=3, validate_every=1)
    *_, done = train_stage(course, "coarse", stage)
    assert done.kept_step == 2
    assert all(torch.equal(value, seen[1][name]) for name, value in weights(course.model).items())


@pytest.mark.parametrize(("losses", "kept", "told"), [((nan, inf), 2, True), ((1.0, nan), 1, False)])
def test_a_stage_whose_validation_was_never_finite_says_so(course, config, monkeypatch, losses, kept, told):
    marks = iter([(loss, 0.5) for loss in losses])
    monkeypatch.setattr("emo.llm.training.stages.validate", lambda *_: next(marks))
    stage = replace(config.stages["coarse"], steps=2, validate_every=1)
    *_, done = train_stage(course, "coarse", stage)
    assert (done.kept_step, "no validation loss was finite" in done.note) == (kept, told)


def test_a_stage_without_validation_has_nothing_to_say(course, config):
    *_, done = train_stage(replace(course, valid=()), "coarse", config.stages["coarse"])
    assert done.note == ""


def test_validation_draws_the_same_questions_every_time(course, config):
    first, again = (validate(course, config.stages["coarse"], Stop()) for _ in range(2))
    assert first == again


def test_nan_never_steps_and_three_in_a_row_stop_the_run(base, texts, batch, config):
    batch = replace(batch, values={**batch.values, "mae": torch.full_like(batch.values["mae"], torch.nan)})
    config = replace(config, standardise=False)
    features = HeldFeatures(batch)
    model = new_model(base, features, [text.clip_id for text in texts], config, seed=0)
    before = weights(model)
    course = Course(
        model=model, features=features, template=TEMPLATES["emo"], labels=MER2023, train=texts, valid=()
    )
    events = train_stage(course, "coarse", replace(config.stages["coarse"], steps=9))
    refused = [next(events), next(events), next(events)]
    assert all(np.isnan(event.loss) and len(event.refused) == 4 for event in refused)
    with pytest.raises(NonFiniteLoss, match="clip"):
        next(events)
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())


def test_a_half_precision_base_gets_full_precision_parts(base, features, texts, config):
    half = replace(base, llama=base.llama.to(torch.bfloat16))
    model = new_model(half, features, [text.clip_id for text in texts], config, seed=0)
    assert {value.dtype for value in model.trained().values()} == {torch.float32}
    course = Course(
        model=model, features=features, template=TEMPLATES["emo"], labels=MER2023, train=texts, valid=()
    )
    first, *_ = train_stage(course, "coarse", config.stages["coarse"])
    assert np.isfinite(first.loss)


def test_a_finite_step_forgives_earlier_ones():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    step = CarefulStep(torch.optim.SGD([weight], lr=0.1), clip_norm=None)
    for loss in (np.nan, np.nan, 1.0, np.nan, np.nan):
        weight.grad = torch.ones(2, 2)
        taken, norm = step(loss, 0.5, ["clip0"])
        assert taken == np.isfinite(loss)
        assert norm == pytest.approx(2.0)
    assert torch.equal(weight.detach(), torch.full((2, 2), 0.5))


def test_a_clip_without_an_answer_is_left_out(texts, config):
    stage = replace(config.stages["coarse"], tasks={"caption": 1.0})
    mute = [replace(text, caption="") for text in texts[:3]]
    drawn = draw_epoch([*mute, *texts[3:6]], stage, MER2023, seed=0, epoch=0)
    assert {example.clip_id for example in drawn} == {"clip3", "clip4", "clip5"}
    with pytest.raises(ConfigError, match="caption"):
        draw_epoch(mute, stage, MER2023, seed=0, epoch=0)


def test_official_text_changes_what_is_supervised(course):
    [example] = draw_epoch(course.train[:1], StageConfig(tasks={"caption": 1.0}), MER2023, seed=0, epoch=0)
    own, official = (replace(course, official_text=it).answer_ids(example) for it in (False, True))
    codec = course.model.codec
    assert codec.text(own) == "The face shows still lips. The tone is even."
    assert codec.text(official) == "the face shows still lips the tone is even"


def test_a_label_of_another_set_is_never_taught(texts):
    stage = StageConfig(tasks={"emotion": 1.0, "explain": 1.0, "caption": 1.0})
    afraid = [replace(text, label="fear") for text in texts]
    drawn = [one for epoch in range(5) for one in draw_epoch(afraid, stage, MER2023, seed=0, epoch=epoch)]
    assert {example.task for example in drawn} == {"caption"}


def test_tasks_come_in_their_shares(texts):
    stage = StageConfig(tasks={"emotion": 0.75, "caption": 0.25})
    epochs = [draw_epoch(texts, stage, MER2023, seed=0, epoch=epoch) for epoch in range(40)]
    drawn = [example.task for epoch in epochs for example in epoch]
    assert drawn.count("emotion") / len(drawn) == pytest.approx(0.75, abs=0.04)


def test_the_schedule_is_the_official_one():
    """Points of the published setting, computed by the official scheduler."""
    rate = WarmupCosine(peak=1e-5, floor=1e-6, start=1e-6, warmup=1000, total=30_000)
    official = {
        0: 1e-6,
        1: 1.009e-6,
        500: 5.5e-6,
        999: 9.991e-6,
        1000: 9.97534852915723e-6,
        1500: 9.94459753267812e-6,
        15_000: 5.5e-6,
        20_123: 3.1999911345705954e-6,
        29_999: 1.0000000246740108e-6,
    }
    assert {step: rate(step) for step in official} == pytest.approx(official, rel=1e-12)


def test_a_run_leaves_checkpoints_metrics_and_settings(base, features, texts, config, tmp_path):
    config = replace(config, stages={"coarse": config.stages["coarse"], "fine": config.stages["coarse"]})
    events = list(run_stages(base, features, texts[:24], texts[24:], config, tmp_path, seed=0))
    assert isinstance(events[0], RunStarted)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["event"] for row in rows] == ["StepDone", "StepDone", "Validated", "StageDone"] * 2
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"coarse", "fine", "state"}
    card = json.loads((tmp_path / "emo.json").read_text())
    assert set(card["trained"]) == {"coarse", "fine"}
    assert json.loads((tmp_path / "recipe.json").read_text())["lora"]["rank"] == 4


def test_a_stage_that_the_recipe_lacks_is_named(config):
    assert list(chosen_stages(config, "coarse").stages) == ["coarse"]
    with pytest.raises(ConfigError, match="coarse, not 'fine'"):
        chosen_stages(config, "fine")


def test_a_run_without_training_clips_is_refused(base, features, config, tmp_path):
    with pytest.raises(ConfigError, match="no training clip"):
        next(run_stages(base, features, [], [], config, tmp_path, seed=0))


def test_features_that_are_not_held_are_a_cache_miss(features):
    with pytest.raises(CacheMiss, match="somebody"):
        features.read(["clip0", "somebody"])
