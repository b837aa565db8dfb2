"""`emo train-head projector` from files on disk to a label scorer, and the run of the LLaMA stage that begins
with it."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.evaluate import evaluate
from emo.cli.main import emo
from emo.cli.train_llm import train_llm
from emo.errors import CheckpointError, ConfigError, StaleCache
from emo.heads.aligned import TENSORS, AlignedProjectors
from emo.heads.batches import Source
from emo.llm.base import load_base
from emo.llm.build import new_model
from emo.llm.recipe import load_recipe
from emo.llm.training.record import RECORD
from emo.llm.training.runs import Manner, RunStarted, run_stages
from emo.llm.warm_start import recipe_with
from emo.llm.word_vectors import EMBEDDINGS, load_word_vectors
from emo.pipeline.systems import load_system
from emo.run_clips import read_run_clips

LABELS = "neutral,angry,happy,sad,worried,surprise"


@pytest.fixture(scope="module")
def projectors(place):
    """Projectors of a short run, and what the command printed."""
    out = place / "projectors"
    words = ["--manifest", str(place), "--cache", str(place / "features.zarr"), "--base", str(place / "base")]
    result = CliRunner().invoke(
        emo,
        ["train-head", "projector", *words, "--recipe", str(place / "recipe.yaml"), "--labels", LABELS,
         "--out", str(out), "--epochs", "12", "--json"],
        catch_exceptions=False,
    )  # fmt: skip
    return out, result


@pytest.fixture
def start(projectors, features, texts, place, tmp_path):
    """Train the stages of a recipe that begins with the projectors; the events."""

    def run(out=None, recipe=None, force=False, folder=None, known=None, **manner):
        folder = folder or projectors[0]
        settings = recipe or recipe_of(place, folder)
        base = load_base(str(place / "base"))
        return list(
            run_stages(
                base, known or features, texts[:24], texts[24:30], settings, out or tmp_path / "run", seed=0,
                force=force, projectors=folder, manner=Manner(**manner),
            )
        )  # fmt: skip

    return run


def recipe_of(place, folder):
    """The recipe with one stage of one step that hardly learns, so that what was loaded can still be seen."""
    whole = recipe_with(load_recipe(str(place / "recipe.yaml")), AlignedProjectors.load(folder), folder)
    stage = replace(whole.stages["coarse"], steps=1, peak_lr=1e-12, min_lr=1e-13, warmup_lr=1e-13)
    return replace(whole, stages={"coarse": stage})


def test_the_command_prints_its_scores_and_leaves_a_whole_folder(projectors):
    out, result = projectors
    printed = json.loads(result.stdout)
    assert printed["clips"] == {"train": 24, "val": 6, "test": 6}
    assert printed["captions"] == 24
    assert printed["scored_split"] == "test"
    assert printed["result"]["n"] == 6
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("README.md", "clips.json", "data.json", "metrics.jsonl", "projectors.json", TENSORS),
        *("run.json", "scores.json"),
    }  # fmt: skip
    record = json.loads((out / "run.json").read_text())
    assert record["features"].keys() == {"hubert", "mae", "videomae", "eva"}
    assert record["options"]["epochs"] == 12
    assert len(read_run_clips(out)["train"]) == 24
    assert "neutral, angry" in (out / "README.md").read_text()


def test_the_old_spelling_is_still_the_classifier():
    assert "Train a classifier head" in CliRunner().invoke(emo, ["train-head", "--help"]).output
    assert "Align projectors" in CliRunner().invoke(emo, ["train-head", "projector", "--help"]).output


def test_word_vectors_are_the_rows_of_the_llama_and_texts_are_their_means(place):
    words, base = load_word_vectors(str(place / "base")), load_base(str(place / "base"))
    weight = base.llama.get_input_embeddings().weight
    assert words.digest == base.digest
    assert torch.equal(words.matrix, weight)
    ids = words.codec.answer("happy face", end=False)
    assert torch.equal(words.of(["happy face"])[0], weight[list(ids)].mean(dim=0))
    with pytest.raises(ConfigError, match="has no tokens"):
        words.of(["happy", " "])


def test_a_base_without_word_embeddings_is_told(place, tmp_path):
    shutil.copytree(place / "base", tmp_path / "base")
    (tmp_path / "base/model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=f"has no {EMBEDDINGS}"):
        load_word_vectors(str(tmp_path / "base"))


def test_projectors_are_evaluated_and_answer_with_labels_they_never_saw(place, projectors, texts, batch):
    store = ["--model", str(projectors[0]), "--cache", str(place / "features.zarr"), "--json"]
    scored = CliRunner().invoke(evaluate, [*store, "--manifest", str(place)], catch_exceptions=False)
    trained = json.loads(projectors[1].stdout)["result"]
    assert json.loads(scored.stdout)["weighted_f1"] == pytest.approx(trained["weighted_f1"])
    more = CliRunner().invoke(
        evaluate,
        [*store, "--manifest", str(place), "--labels", f"{LABELS},gloomy,glad"],
        catch_exceptions=False,
    )
    assert json.loads(more.stdout)["n"] == 6
    answers = load_system(projectors[0], labels=("still lips", "gloomy")).answers(texts, batch)
    rows = [answer.probabilities for answer in answers]
    assert len(rows) == 36
    assert all(row.keys() == {"still lips", "gloomy"} for row in rows)
    assert all(sum(row.values()) == pytest.approx(1) for row in rows)


def test_the_order_of_other_labels_says_nothing(place, projectors, batch):
    turned = load_system(projectors[0], labels=LABELS.split(",")[::-1])
    known = load_system(projectors[0])
    clips = [None] * len(batch)
    assert torch.allclose(
        torch.tensor(turned.scores(clips, batch)), torch.tensor(known.scores(clips, batch)).flip(1), atol=1e-5
    )


def test_another_llama_is_asked_for_no_other_labels(place, projectors, tmp_path):
    moved = tmp_path / "base"
    shutil.copytree(place / "base", moved)
    assert load_system(projectors[0], labels=("glad", "gloomy"), base=str(moved)).labels == ("glad", "gloomy")
    (moved / "tokenizer.json").write_text((moved / "tokenizer.json").read_text() + "\n")
    with pytest.raises(ConfigError, match="know the words of a LLaMA with digest"):
        load_system(projectors[0], labels=("glad", "gloomy"), base=str(moved))


def test_a_run_begins_with_the_projectors_and_the_figures_of_their_features(
    start, projectors, place, tmp_path
):
    begun = start()
    assert isinstance(begun[0], RunStarted)
    assert begun[0].fresh == ()
    trained, model = AlignedProjectors.load(projectors[0]), load_system(tmp_path / "run").model
    for slot, part in trained.model.projectors.items():
        for name, value in part.state_dict().items():
            torch.testing.assert_close(model.projectors[slot].state_dict()[name], value, rtol=0, atol=1e-6)
    for name, value in trained.standardiser.tensors().items():
        assert torch.equal(model.standardiser.tensors()[name], value)
    assert json.loads((tmp_path / "run" / RECORD).read_text())["identity"]["projectors"]
    with pytest.raises(ConfigError, match="Leave out --labels"):
        load_system(tmp_path / "run", labels=("glad", "gloomy"))
    assert set(read_run_clips(tmp_path / "run")["start"]) == {f"clip{number}" for number in range(36)}


def test_the_scorer_and_the_llama_see_the_same_vectors(projectors, place, features, batch):
    """What is scored is the mean of what stands in the prompt."""
    trained = AlignedProjectors.load(projectors[0])
    with torch.no_grad():
        vectors, _ = trained.model.slot_vectors(trained.condensed(batch))
        ready = trained.standardiser(batch)
        patches = trained.model.projectors["eva_patches"](ready.values["eva"])
    at = list(trained.model.projectors).index("eva_patches")
    torch.testing.assert_close(vectors[:, at], patches.mean(dim=1), rtol=1e-4, atol=1e-5)


def test_other_features_another_llama_and_seen_validation_clips_are_refused(
    start, place, kit, batch, tmp_path
):
    from emo.llm.features import HeldFeatures

    other = replace(batch, sources={**batch.sources, "mae": Source(kit.spec("mae", version=2), "utterance")})
    with pytest.raises(StaleCache, match=r"mae: .*Different: recipe_version"):
        start(known=HeldFeatures(other))
    moved = tmp_path / "moved"
    shutil.copytree(place / "projectors", moved)
    seen = {"train": ["clip25"], "val": []}
    (moved / "clips.json").write_text(json.dumps({"schema_version": 1, "clips": seen}))
    with pytest.raises(ConfigError, match="trained on 1 of the 6 validation clips, the first: clip25"):
        start(folder=moved)
    card = json.loads((moved / "projectors.json").read_text())
    (moved / "projectors.json").write_text(json.dumps({**card, "base_digest": "f" * 64}))
    with pytest.raises(CheckpointError, match="aligned with a LLaMA with digest ffff"):
        start(folder=moved)
    assert start(folder=moved, force=True, known=HeldFeatures(other))


def test_another_width_kind_or_z_score_is_refused_with_the_cure(start, place, projectors, features, tmp_path):
    trained = AlignedProjectors.load(projectors[0])
    recipe = recipe_of(place, projectors[0])
    with pytest.raises(ConfigError, match=r"projectors\.mae: mlp, but .* has linear"):
        recipe_with(replace(recipe, projectors={"mae": "mlp"}), trained, projectors[0])
    with pytest.raises(ConfigError, match="standardise: false"):
        recipe_with(replace(recipe, standardise=False), trained, projectors[0])
    base = load_base(str(place / "base"))
    from emo.llm.warm_start import begin_with

    model = new_model(base, features, ["clip0", "clip1"], recipe, seed=0)
    model.projectors["mae"] = torch.nn.Linear(3, 2)
    with pytest.raises(CheckpointError, match=r"mae\."):
        begin_with(model, trained, projectors[0])


def test_the_command_trains_from_projectors_and_takes_no_second_start(place, projectors, tmp_path):
    quick = (place / "recipe.yaml").read_text().replace("steps: 24", "steps: 1")
    (place / "quick.yaml").write_text(quick)
    fixed = [
        *("--manifest", str(place), "--cache", str(place / "features.zarr"), "--base", str(place / "base")),
        *("--recipe", str(place / "quick.yaml"), "--stage", "coarse", "--projectors", str(projectors[0])),
    ]
    result = CliRunner().invoke(
        train_llm, [*fixed, "--out", str(tmp_path / "run"), "--json"], catch_exceptions=False
    )
    assert json.loads(result.stdout)["stages"].keys() == {"coarse"}
    record = json.loads((tmp_path / "run" / RECORD).read_text())
    assert record["options"]["projectors"] == str(projectors[0])
    with pytest.raises(ConfigError, match="has projectors of its own"):
        CliRunner().invoke(
            train_llm, [*fixed, "--out", str(tmp_path / "other"), "--init-from", str(tmp_path / "run")],
            catch_exceptions=False,
        )  # fmt: skip
    with pytest.raises(ConfigError, match=r"projectors is .* there and null here"):
        CliRunner().invoke(train_llm, [*fixed[:-2], "--out", str(tmp_path / "run")], catch_exceptions=False)


def test_slots_and_kinds_that_do_not_fit_are_all_named(place):
    result = CliRunner().invoke(
        emo, ["train-head", "projector", "--base", str(place / "base"), "--manifest", str(place),
              "--cache", str(place / "features.zarr"), "--projector", "mae=merge4", "--projector", "face=mlp",
              "--projector", "hubert"],
    )  # fmt: skip
    said = str(result.exception)
    assert "mae=merge4" in said
    assert "face=mlp: no such slot" in said
    assert "hubert=: there is no projector ''" in said
    assert open_cache(place / "features.zarr").spaces()
