"""One step of a stage as the training loop takes it: what is summed, clipped, decayed, drawn and kept."""

from dataclasses import replace
from math import inf, nan

import pytest
import torch

from emo.config.llm import StageConfig
from emo.errors import NonFiniteLoss
from emo.labels import MER2023
from emo.llm.build import assemble
from emo.llm.examples import ask
from emo.llm.features import HeldFeatures
from emo.llm.mixture import draw_each
from emo.llm.prompts import TEMPLATES
from emo.llm.training.course import Course
from emo.llm.training.forward import Moment, micro_loss
from emo.llm.training.optimiser import PATIENCE, CarefulStep, adamw
from emo.llm.training.plan import epoch_steps
from emo.llm.training.stages import StageTraining, train_stage
from emo.llm.training.stopping import Stop
from emo.llm.training.validation import VALIDATION_EPOCH, Best, validate


def course_of(base, batch, texts, config, kit, dropout):
    config = replace(config, lora=replace(config.lora, dropout=dropout), standardise=False)
    model = assemble(base, kit.dims, config, None, seed=0)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1, generator=torch.Generator().manual_seed(0))
    return Course(
        model=model,
        features=HeldFeatures(batch),
        template=TEMPLATES["emo"],
        labels=MER2023,
        train=texts[:24],
        valid=texts[24:],
    )


@pytest.fixture
def course(base, batch, texts, config, kit):
    """Without dropout, so that a step is a function of its clips; with adapters that add something."""
    return course_of(base, batch, texts, config, kit, dropout=0.0)


@pytest.fixture
def dropping(base, batch, texts, config, kit):
    return course_of(base, batch, texts, config, kit, dropout=0.5)


@pytest.fixture
def stage(config):
    tasks = {"emotion": 1.0, "caption": 1.0, "reason": 1.0}
    return replace(config.stages["coarse"], tasks=tasks, batch_size=6, warmup_lr=1e-5, weight_decay=0.0)


def one_by_one(course, examples):
    """Summed loss and number of supervised tokens, every example alone in its padded batch."""
    total, tokens = 0.0, 0
    for example in examples:
        prompt = [ask(course.template, example)]
        features = course.features.read([example.clip_id])
        loss = course.model.answer_loss(course.model.embed(prompt, features, [course.answer_ids(example)]))
        total, tokens = total + float(loss.total.detach()), tokens + loss.tokens
    return total, tokens


@pytest.mark.parametrize("row_tokens", [16_384, 300], ids=["one row", "several rows"])
def test_the_loss_of_a_step_is_the_mean_over_its_supervised_tokens(course, stage, row_tokens):
    stage = replace(stage, row_tokens=row_tokens)
    planned = epoch_steps(course, stage, 0)[0]
    assert (len(planned) > 1) == (row_tokens == 300)
    total, tokens = one_by_one(course, [example for micro in planned for example in micro])
    step = next(train_stage(course, "coarse", stage))
    assert (step.loss, step.tokens) == (pytest.approx(total / tokens, rel=1e-5), tokens)


def test_the_gradient_of_a_step_does_not_depend_on_its_cut_and_is_clipped(course, stage):
    begun = {name: value.detach().clone() for name, value in course.model.state_dict().items()}
    norms, beta = [], stage.betas[0]
    for row_tokens, limit in ((16_384, None), (300, None), (300, 0.01)):
        course.model.load_state_dict(begun)
        training = StageTraining(course, "coarse", replace(stage, row_tokens=row_tokens, clip_norm=limit))
        norms.append(next(training.events()).gradient_norm)
        averages = [one for name, one in training.state().optimiser.items() if name.startswith("exp_avg.")]
        used = float(torch.nn.utils.get_total_norm(averages)) / (1 - beta)
        assert used == pytest.approx(min(norms[-1], limit or inf), rel=1e-4)
    assert norms == pytest.approx([norms[0]] * 3, rel=1e-4)
    assert norms[0] > 0.01


def test_the_first_step_has_the_first_rate(course, stage):
    first, second, *_ = train_stage(course, "coarse", replace(stage, warmup_steps=4))
    assert first.learning_rate == stage.warmup_lr
    rise = (stage.peak_lr - stage.warmup_lr) / 4
    assert second.learning_rate == pytest.approx(stage.warmup_lr + rise)


def test_a_frozen_part_stays_as_it_is_through_a_stage(course, stage):
    before = {name: value.detach().clone() for name, value in course.model.named_parameters()}
    list(train_stage(course, "coarse", replace(stage, frozen=("lora", "mae"))))
    changed = {name for name, value in course.model.named_parameters() if not value.equal(before[name])}
    assert any("projectors.hubert" in name for name in changed)
    assert not any("lora" in name or "projectors.mae" in name for name in changed)


def test_only_matrices_decay():
    matrix, bias = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
    matrix.grad, bias.grad = torch.zeros(2, 2), torch.zeros(2)
    adamw([matrix, bias], StageConfig(tasks={"emotion": 1.0}, peak_lr=0.1, weight_decay=0.5)).step()
    assert matrix.detach().flatten().tolist() == pytest.approx([0.95] * 4)
    assert bias.tolist() == [1.0, 1.0]


def test_a_gradient_that_is_not_finite_is_refused_though_the_loss_is_finite():
    weight = torch.nn.Parameter(torch.ones(2))
    step = CarefulStep(torch.optim.SGD([weight], lr=0.1), clip_norm=None)
    weight.grad = torch.tensor([inf, 0.0])
    taken, _ = step(1.0, 0.1, ["clip0"])
    assert not taken
    assert weight.tolist() == [1.0, 1.0]


def test_only_refusals_in_a_row_end_a_run():
    weight = torch.nn.Parameter(torch.ones(2))
    step = CarefulStep(torch.optim.SGD([weight], lr=0.1), clip_norm=None)
    for loss in ([nan] * (PATIENCE - 1) + [1.0]) * 2 + [nan] * (PATIENCE - 1):
        weight.grad = torch.ones(2)
        step(loss, 0.1, ["clip0"])
        step.refuse_to_go_on()
    step(nan, 0.1, ["clip0"])
    with pytest.raises(NonFiniteLoss, match="clip0"):
        step.refuse_to_go_on()


def test_the_draws_of_a_moment_are_its_own(course):
    moments = [Moment("coarse", 0), Moment("coarse", 1), Moment("fine", 0)]
    seeds = [
        moment.seed(one, what)
        for moment in moments
        for one in (course, replace(course, seed=1))
        for what in ("dropout 0", "dropout 1")
    ]
    assert len(set(seeds)) == len(seeds) == 12


def test_the_rows_of_a_step_drop_adapters_apart_and_a_row_the_same_again(dropping, stage):
    dropping.model.train()
    micro, moment = epoch_steps(dropping, stage, 0)[0][0], Moment("coarse", 0)
    first, again, other = (
        micro_loss(dropping, stage, micro, moment, number).total.item() for number in (0, 0, 1)
    )
    assert first == again != other


def test_validation_is_per_token_and_without_dropout(dropping, stage):
    dropping.model.train()
    loss, _ = validate(dropping, stage, Stop())
    assert not dropping.model.training
    examples = draw_each(dropping.valid, stage, MER2023, seed=dropping.seed, epoch=VALIDATION_EPOCH)
    total, tokens = one_by_one(dropping, examples)
    assert loss == pytest.approx(total / tokens, rel=1e-5)


@pytest.mark.parametrize(
    ("offers", "kept"),
    [
        ([(1.0, None), (0.5, None), (0.7, None)], 2),
        ([(0.5, 0.4), (0.9, 0.6), (0.1, 0.5)], 2),
        ([(0.9, 0.5), (0.5, 0.5), (0.7, 0.5)], 2),
        ([(0.5, 0.5), (0.5, 0.5)], 1),
        ([(nan, 0.9), (0.5, 0.1), (nan, 0.9)], 2),
    ],
    ids=["by loss without labels", "by F1", "by loss at equal F1", "the earlier of equals", "never NaN"],
)
def test_the_best_is_chosen(offers, kept):
    best, weight = Best(), torch.nn.Parameter(torch.zeros(1))
    for step, (loss, score) in enumerate(offers, start=1):
        weight.data.fill_(step)
        best.offer(step, loss, score, {"weight": weight})
    best.restore({"weight": weight})
    assert (best.step, weight.item()) == (kept, kept)


def test_a_stage_that_goes_on_still_has_the_best_weights_of_before(course, stage):
    """No step is left to take: what it ends with is what was kept, not what was last."""
    last = replace(course, valid=())
    training = StageTraining(last, "coarse", stage)
    list(training.events())
    state = training.state()
    kept = {name: torch.full_like(value, 0.25) for name, value in state.weights.items()}
    again = StageTraining(last, "coarse", stage)
    again.load(replace(state, best=kept, best_step=1, best_loss=0.1))
    assert again.state().best_step == 1
    [done] = again.events()
    assert done.kept_step == 1
    assert all(value.equal(kept[name]) for name, value in course.model.trained().items())


def test_an_answer_is_cut_where_the_recipe_says(course):
    [example] = draw_each(course.train[:1], StageConfig(tasks={"caption": 1.0}), MER2023, seed=0, epoch=0)
    whole = course.answer_ids(example)
    assert replace(course, max_answer_tokens=3).answer_ids(example) == whole[:3] != whole
