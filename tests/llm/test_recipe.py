"""Recipes: those that ship are sound, mistakes are all named at once."""

import shlex
from importlib.resources import files

import pytest

from emo.config.llm import SETS_WITHOUT_LIST, SLOTS
from emo.errors import ConfigError
from emo.labels import DFEW, MER2023
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
    config = load_recipe("emotion-llama-readme")
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


def stage(**settings):
    return {"stages": {"only": {"tasks": {"emotion": 1.0}, **settings}}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (stage(frozen=["lorra"]), r"only\.frozen: no 'lorra'; did you mean `lora`"),
        (stage(frozen=["lora", "projectors"]), "nothing is left to train"),
        (stage(frozen=["lora", *SLOTS]), "nothing is left to train"),
        (stage(modality_dropout=1.5), "modality_dropout: 1.5 is no share"),
        (stage(modality_dropout={"hubrt": 0.5}), "modality_dropout: no 'hubrt'; did you mean `hubert`"),
        (stage(modality_dropout={"eva": -1}), r"modality_dropout\.eva: -1.0 is no share"),
        (stage(sample_ratios={"fine": 0.0}), "sample_ratios: shares must not be negative"),
        (stage(sample_ratios={"all": 1.0}), "'all' is no set of its own"),
        (stage(neutral_free=2), "neutral_free: 2.0 is no share"),
        (stage(neutral_free=0.5, labels=["sad"]), "no 'neutral' to leave out"),
        (stage(labels="dfw"), "no set 'dfw'; did you mean `dfew`"),
        (stage(labels=["sad", "sad"]), r"only\.labels: give each label once"),
        (stage(tasks_per_clip=0), "tasks_per_clip: must be at least 1"),
        (stage(peak_lr=-1.0), "peak_lr: must not be negative"),
        (stage(clip_norm=0.0), "clip_norm: must be above 0"),
        ({**stage(), "slots": ["hubrt"]}, "slots: no 'hubrt'; did you mean `hubert`"),
        ({**stage(), "arrays": {"mai": "frames:mean"}}, "arrays: no 'mai'; did you mean `mae`"),
        ({**stage(), "val_share": 1.0}, "val_share: 1.0"),
        ({**stage(), "lora": {"rank": 0, "targets": []}}, "lora.rank: must be at least 1"),
        ({}, "stages: none"),
        ({"stages": {"coarse": {"tasks": {}}}}, "one must be above 0"),
        ({"stages": {"coarse": {"tasks": {"emotion": -1.0}}}}, "must not be negative"),
        ({"stages": STAGES, "labels": ["happy", "happy"]}, "each label once"),
    ],
)
def test_what_cannot_be_trained_is_refused(data, message):
    with pytest.raises(ConfigError, match=message):
        config_from(data, "mine.yaml")


def test_a_label_set_may_be_named():
    config = config_from({**stage(labels="mer2023"), "labels": "dfew"}, "mine.yaml")
    assert config.labels == DFEW
    assert config.stages["only"].labels == MER2023


def test_every_shipped_command_parses_and_names_its_own_recipe():
    from emo.cli.train_llm import train_llm

    for name in recipe_names():
        first = (files("emo.llm.recipes") / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
        words = shlex.split(first.removeprefix("# "))
        assert words[:2] == ["emo", "train-llm"]
        given = train_llm.make_context("train-llm", words[2:]).params
        assert given["recipe"] == name and given["base"]
        asked = {list_name for stage in load_recipe(name).stages.values() for list_name in lists_of(stage)}
        offered = {value.partition("=")[0] for value in given["lists"]}
        assert offered <= asked and (given["stage"] != "both" or offered == asked)


def lists_of(stage):
    named = {stage.clips, stage.labels_from, *stage.sample_ratios}
    return named - {"", *SETS_WITHOUT_LIST}


def test_a_file_of_ones_own_is_read(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("stages: {only: {tasks: {emotion: 1}, steps: 5}}\n")
    assert load_recipe(str(path)).stages["only"].steps == 5
    path.write_text("- a list\n")
    with pytest.raises(ConfigError, match="holds list"):
        load_recipe(str(path))
    with pytest.raises(ConfigError, match="Recipes: dfew-5fold"):
        load_recipe(str(tmp_path / "none.yaml"))
