"""Recipes: those that ship are sound, mistakes are all named at once."""

from importlib.resources import files

import pytest

from emo.errors import ConfigError
from emo.llm.recipe import config_from, config_to_json, load_recipe, recipe_names

STAGES = {"coarse": {"tasks": {"emotion": 1.0}}}


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_says_how_it_is_run(name):
    config = load_recipe(name)
    first = (files("emo.llm.recipes") / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# emo train-llm --recipe {name}")
    assert config.aims_at
    assert config_from(config_to_json(config), name) == config


def test_the_paper_recipe_holds_the_official_figures():
    config = load_recipe("paper-coarse-to-fine")
    assert (config.lora.rank, config.lora.alpha, config.lora.targets) == (64, 16, ("q_proj", "v_proj"))
    assert not config.standardise and config.projector_scale is None
    coarse, fine = config.stages["coarse"], config.stages["fine"]
    assert (coarse.peak_lr, coarse.min_lr, coarse.warmup_lr, coarse.warmup_steps) == (1e-5, 1e-6, 1e-6, 1000)
    assert fine.peak_lr == fine.min_lr == 1e-6
    assert coarse.clip_norm is None and coarse.betas == (0.9, 0.999) and coarse.weight_decay == 0.05
    assert set(fine.tasks) == {"reason_v2"}
    assert len(config.labels) == 9
    assert config.official_text and not load_recipe("tiny").official_text


def test_every_mistake_is_named_at_once():
    data = {
        "lable": ["happy"],
        "template": "emoo",
        "lora": {"rnk": 3},
        "stages": {"coarse": {"tasks": {"emtion": 1.0}, "stepps": 3, "batch_size": 0}},
    }
    with pytest.raises(ConfigError) as caught:
        config_from(data, "mine.yaml")
    text = "\n".join(caught.value.mistakes)
    assert "mine.yaml: lable: unknown; did you mean `labels`?" in text
    assert "lora: rnk: unknown; did you mean `rank`?" in text
    assert "stages.coarse: stepps: unknown; did you mean `steps`?" in text
    assert "no 'emoo'" in text
    assert "no 'emtion'" in text
    assert "batch_size: must be at least 1" in text


def test_a_wrong_type_is_named_with_its_place():
    with pytest.raises(ConfigError, match=r"stages.coarse.steps: .*integer"):
        config_from({"stages": {"coarse": {"tasks": {"emotion": 1.0}, "steps": "many"}}}, "mine.yaml")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "stages: none"),
        ({"stages": {"coarse": {"tasks": {}}}}, "one must be above 0"),
        ({"stages": {"coarse": {"tasks": {"emotion": -1.0}}}}, "must not be negative"),
        ({"stages": STAGES, "labels": ["happy", "happy"]}, "each label once"),
    ],
)
def test_what_cannot_be_trained_is_refused(data, message):
    with pytest.raises(ConfigError, match=message):
        config_from(data, "mine.yaml")


def test_a_file_of_ones_own_is_read(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("stages: {only: {tasks: {emotion: 1}, steps: 5}}\n")
    assert load_recipe(str(path)).stages["only"].steps == 5
    path.write_text("- a list\n")
    with pytest.raises(ConfigError, match="holds list"):
        load_recipe(str(path))
    with pytest.raises(ConfigError, match="Recipes: paper"):
        load_recipe(str(tmp_path / "none.yaml"))
