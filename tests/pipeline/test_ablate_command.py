"""emo ablate, typed: cells of what the whole system lacks, trained once, asked about the same clips."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.cli.train_head import spaces_named
from emo.clip import Clip
from emo.config.heads import HeadConfig
from emo.corpora import clips_in
from emo.errors import ConfigError
from emo.evaluation.intervals import paired_bootstrap
from emo.llm.recipe import config_from, config_to_json, load_recipe
from emo.pipeline.ablation_cells import Cell, cells_by_axis, whole_cell
from emo.pipeline.ablation_result import ablation_markdown, ablation_scores
from emo.pipeline.ablation_runs import CellResult
from emo.pipeline.ablation_study import HeadStudy

RECIPE = """\
labels: [neutral, angry, happy, sad, worried, surprise]
arrays: {mae: "frames:mean+apex", videomae: "frames:mean+apex"}
standardise: true
projector_scale: 0.1
stages:
  coarse: {tasks: {emotion: 1.0}, steps: 1, batch_size: 4, warmup_steps: 1, peak_lr: 1.0e-3}
  fine: {tasks: {emotion: 1.0}, steps: 1, batch_size: 4, warmup_steps: 1, peak_lr: 1.0e-3}
"""
FEATURES = ("hubert", "mae", "videomae", "eva")


@pytest.fixture(scope="module")
def place(study):
    (study / "recipe.yaml").write_text(RECIPE)
    return study


def typed(place, *words, out="out"):
    where = ["--manifest", str(place), "--cache", str(place / "f.zarr"), "--out", str(place / out)]
    return CliRunner().invoke(command, ["-q", "ablate", *where, "--seeds", "0,1", *words])


def test_every_subset_is_trained_once_and_a_changed_cell_alone_again(place):
    words = ["--features", "hubert,mae,eva", "--vary", "subsets,emotion-encoders", "--epochs", "2", "--json"]
    planned = json.loads(typed(place, *words, "--dry-run").stdout)
    said = typed(place, *words[:-1], "--dry-run").stdout
    assert "no emotion encoders: seeds to train: none, the same as a cell above" in said
    assert planned["trainings"] == 8 * 2 - 2  # "eva" and "no emotion encoders" of a head are one cell
    ran = typed(place, *words)
    assert ran.exit_code == 0, (ran.output, ran.exception)
    told = json.loads(ran.stdout)
    names = ["all", "hubert+mae", "hubert+eva", "mae+eva", "hubert", "mae", "eva", "no emotion encoders"]
    assert list(told["pooled"]) == names
    assert (told["n"], told["clusters"], told["seeds"]) == (16, 2, [0, 1])
    assert told["pooled"]["eva"] == told["pooled"]["no emotion encoders"]
    assert set(told["gains"]) == set(names) - {"all"}
    assert (place / "out/ablation.png").read_bytes().startswith(b"\x89PNG")
    assert "no emotion encoders" in (place / "out/ablation.md").read_text()

    cells = sorted((place / "out/cells").glob("*/cell.json"))
    before = {path: path.stat().st_mtime_ns for path in cells}
    next(iter(cells)).unlink()
    assert json.loads(typed(place, *words, "--dry-run").stdout)["trainings"] == 1
    again = json.loads(typed(place, *words).stdout)
    assert again["pooled"] == told["pooled"]
    assert [path for path in cells if path.stat().st_mtime_ns == before[path]] == cells[1:]
    assert json.loads(typed(place, *words, "--epochs", "3", "--dry-run").stdout)["trainings"] == 14


def test_a_cell_is_decided_by_what_is_known_of_every_clip_and_by_the_seed(study):
    spaces = spaces_named(open_cache(study / "f.zarr"), "mae")
    clips, cell = clips_in(study)[0], Cell("mae", ("mae",))

    def decided(first=clips[0], seed=0):
        every = [first, *clips[1:]]
        return HeadStudy(every, spaces, ("happy", "sad"), HeadConfig()).identity(cell, seed)

    assert decided() == decided()
    assert decided() != decided(seed=1)
    for change in ({"text": "x"}, {"label": "x"}, {"speaker": "x"}, {"split": "val"}, {"clip_id": "x"}):
        assert decided(replace(clips[0], **change)) != decided(), change


@pytest.mark.slow
def test_a_llama_stage_without_emotion_encoders_stages_or_texts(place, tiny_llama):
    words = ["--system", "llm", "--base", str(tiny_llama), "--recipe", str(place / "recipe.yaml"), "--json"]
    words += ["--vary", "emotion-encoders,stages,pretraining", "--seeds", "0"]
    planned = json.loads(typed(place, *words, "--dry-run", out="llm").stdout)
    assert planned["trainings"] == 5  # there is no MERR file: the labels alone are what the whole learns from
    assert planned["seconds"] is not None
    ran = typed(place, *words, out="llm")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    told = json.loads(ran.stdout)
    assert told["axes"] == {
        "emotion-encoders": ["no emotion encoders"],
        "stages": ["coarse alone", "fine alone", "no stage"],
        "pretraining": ["from labels"],
    }
    cells = {}
    for path in (place / "llm/cells").glob("*/cell.json"):
        cells[json.loads(path.read_text())["cell"]] = path.parent
    card = json.loads((cells["no emotion encoders"] / "run/emo.json").read_text())
    assert list(card["dims"]) == ["eva"]
    assert not (cells["no stage"] / "run").exists()
    stages = json.loads((cells["coarse alone"] / "run/run.json").read_text())["stages"]
    assert list(stages) == ["coarse"]


def test_what_contradicts_itself_is_told_before_anything_is_read(place):
    for words, told in (
        (["--vary", "stages"], "Known: emotion-encoders, subsets"),
        (["--pretrain", "x=y"], "Add --system llm"),
        (["--seeds", "0,x"], "not whole numbers"),
        (["--features", "hubert", "--vary", "emotion-encoders"], "Add eva to --features"),
        (["--system", "llm", "--pretrain", "merr=x", "--vary", "pretraining"], "'merr' is taken"),
    ):
        ran = typed(place, *words)
        assert isinstance(ran.exception, ConfigError), (words, ran.output, ran.exception)
        assert told in str(ran.exception)


def test_no_emotion_encoders_leaves_the_patches_of_the_scene_in_the_prompt():
    recipe = load_recipe("tiny")
    axes = cells_by_axis(["emotion-encoders", "stages"], FEATURES, "llm", recipe=recipe)
    (bare,) = axes["emotion-encoders"]
    assert (bare.features, bare.recipe(recipe).slots) == (("eva",), ("eva_patches",))
    alone = bare.recipe(recipe)
    assert config_from(config_to_json(alone), "cell") == alone  # a checkpoint of it can be read again
    assert [list(cell.recipe(recipe).stages) for cell in axes["stages"]] == [["coarse"], ["fine"], []]
    assert whole_cell(FEATURES).recipe(recipe) == recipe


def test_a_difference_is_paired_by_speaker_over_the_mean_of_the_seeds():
    rng = np.random.default_rng(3)
    test = [
        Clip(clip_id=f"c{n}", path="c.mp4", label=("happy", "sad")[n % 2], speaker=f"s{n // 6}", split="test")
        for n in range(60)
    ]
    whole, part = whole_cell(FEATURES), Cell("hubert", ("hubert",))
    answers = {}
    for cell, right in ((whole, 0.8), (part, 0.6)):
        for seed in (0, 1):
            said = [
                clip.label if rng.random() < right else rng.choice(["happy", "sad", "none"]) for clip in test
            ]
            answers[cell, seed] = tuple(None if one == "none" else str(one) for one in said)
    results = [
        CellResult(cell=cell, seed=seed, answers=said, seconds=1.0, kept=False)
        for (cell, seed), said in answers.items()
    ]
    found = ablation_scores("head", test, ("happy", "sad"), results, {"subsets": [part]})
    truth, speakers = [clip.label for clip in test], [clip.speaker for clip in test]
    one = [r for r in results if r.seed == 0]
    alone = ablation_scores("head", test, ("happy", "sad"), one, {"subsets": [part]}).rows[1].loss
    expected = paired_bootstrap(
        truth, answers[whole, 0], answers[part, 0], ("happy", "sad"), speakers, metric="weighted_f1"
    )
    assert replace(alone, p_value=0) == replace(expected, p_value=0)
    row = found.rows[1]
    both = [found.rows[0].by_seed[seed] - row.by_seed[seed] for seed in (0, 1)]
    assert row.loss.value == pytest.approx(np.mean(both))
    assert row.score.point == pytest.approx(np.mean(list(row.by_seed.values())))
    assert row.deviation == pytest.approx(abs(row.by_seed[0] - row.by_seed[1]) / 2**0.5)  # that of a sample
    assert found.rows[0].invalid_rate > 0
    assert "not corrected for the number of" in ablation_markdown(found)
