"""Training that begins with converted weights: what they hold is loaded, the rest is said to start fresh."""

from dataclasses import replace

import pytest
import torch

from emo.clip import Clip
from emo.config.llm import LoraSettings
from emo.errors import CheckpointError, ConfigError
from emo.llm.base import load_base
from emo.llm.build import new_model
from emo.llm.card import read_card
from emo.llm.checkpoint import load_checkpoint
from emo.llm.official.convert import convert, fresh_slots
from emo.llm.official.export import export
from emo.llm.official.origin import Origin
from emo.llm.training.runs import Manner, RunStarted, run_stages
from emo.pipeline.systems import load_system
from emo.run_clips import read_run_clips, runs_with


@pytest.fixture
def recipe(config):
    """Two steps with no learning rate to speak of, so that what was loaded can still be seen."""
    stage = replace(config.stages["coarse"], peak_lr=1e-12, min_lr=1e-13, warmup_lr=1e-13)
    lora = LoraSettings(rank=8, alpha=2)
    return replace(config, lora=lora, standardise=False, projector_scale=None, stages={"coarse": stage})


def converted(kind, state, base_folder, out):
    origin = Origin(kind=kind, file=f"{kind}.pth", sha256="0", fresh=fresh_slots(kind))
    convert(state, origin, out, base=str(base_folder))
    return out


def train(base_folder, features, texts, recipe, out, start):
    loaded = load_base(str(base_folder))
    return list(run_stages(loaded, features, texts[:24], texts[24:30], recipe, out, seed=1, start=start))


@pytest.mark.parametrize("kind", ["emotion-llama", "minigpt-v2"])
def test_a_run_begins_with_converted_weights(kind, state, base_folder, features, texts, recipe, tmp_path):
    held = state if kind == "emotion-llama" else {
        name: value for name, value in state.items() if "lora_" in name or name.startswith("llama_proj")
    }  # fmt: skip
    start = converted(kind, held, base_folder, tmp_path / "start")
    events = train(base_folder, features, texts, recipe, tmp_path / "run", start)
    assert isinstance(events[0], RunStarted)
    assert events[0].fresh == fresh_slots(kind)
    trained = load_checkpoint(tmp_path / "run")
    assert trained.card.origin is None
    assert trained.card.sources == features.sources
    fresh = new_model(load_base(str(base_folder)), features, ["clip0"], recipe, seed=1)
    for slot, name in (("eva_patches", "llama_proj"), ("mae", "feats_llama_proj1")):
        expected = (
            fresh.projectors[slot].linear.weight if slot in fresh_slots(kind) else state[f"{name}.weight"]
        )
        torch.testing.assert_close(trained.model.projectors[slot].linear.weight, expected, rtol=0, atol=1e-6)
    adapted = dict(trained.model.llama.named_parameters())
    value = adapted["base_model.model.model.layers.1.self_attn.v_proj.lora_B.default.weight"]
    official = "llama_model.base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight"
    torch.testing.assert_close(value, state[official], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lora": LoraSettings(rank=8, alpha=8)}, "lora.alpha: 2"),
        ({"lora": LoraSettings(rank=4, alpha=2)}, r"lora_A.weight is \(8, 32\), not \(4, 32\)"),
        ({"standardise": True}, "standardise: false"),
    ],
)
def test_a_recipe_of_another_form_is_refused(
    change, told, state, base_folder, features, texts, recipe, tmp_path
):
    start = converted("emotion-llama", state, base_folder, tmp_path / "start")
    with pytest.raises(CheckpointError, match=told):
        train(base_folder, features, texts, replace(recipe, **change), tmp_path / "run", start)


def test_the_card_names_the_converted_weights_a_run_began_with(
    state, base_folder, features, texts, recipe, tmp_path
):
    start = converted("emotion-llama", state, base_folder, tmp_path / "start")
    train(base_folder, features, texts, recipe, tmp_path / "run", start)
    train(base_folder, features, texts, recipe, tmp_path / "again", tmp_path / "run")
    for folder in (tmp_path / "run", tmp_path / "run" / "coarse", tmp_path / "again"):
        assert read_card(folder).start == read_card(start).origin


def test_a_start_of_another_llama_is_refused_unless_forced(
    state, base_folder, features, texts, recipe, tmp_path
):
    start = converted("emotion-llama", state, base_folder, tmp_path / "start")
    other = replace(load_base(str(base_folder)), digest="f" * 64)

    def run(**more):
        clips = texts[:24], texts[24:30]
        return list(
            run_stages(other, features, *clips, recipe, tmp_path / "run", seed=1, start=start, **more)
        )

    with pytest.raises(CheckpointError, match="ffffffffffffffff"):
        run()
    assert run(force=True)


def test_a_run_names_its_clips_and_those_of_the_run_it_began_with(
    state, base_folder, features, texts, recipe, tmp_path
):
    start = converted("emotion-llama", state, base_folder, tmp_path / "start")
    train(base_folder, features, texts, recipe, tmp_path / "runs" / "first", start)
    loaded = load_base(str(base_folder))
    second = tmp_path / "runs" / "second"
    first_stage = tmp_path / "runs" / "first" / "coarse"
    list(run_stages(loaded, features, texts[:9], texts[9:12], recipe, second, seed=1, start=first_stage))
    ids = [text.clip_id for text in texts]
    assert read_run_clips(first_stage) == {"train": sorted(ids[:24]), "val": sorted(ids[24:30])}
    found = dict(runs_with(tmp_path / "runs", [ids[20], ids[35]]))
    assert found == {tmp_path / "runs" / "first": [ids[20]], second: [ids[20]]}


def test_clips_of_weights_that_are_replaced_are_named_until_they_are(
    state, base_folder, features, texts, recipe, tmp_path
):
    out, loaded = tmp_path / "run", load_base(str(base_folder))
    list(run_stages(loaded, features, texts[:24], texts[24:30], recipe, out, seed=1))
    shorter = run_stages(
        loaded, features, texts[1:24], texts[24:30], recipe, out, seed=1, manner=Manner(fresh=True)
    )
    next(shorter)
    gone = texts[0].clip_id
    assert dict(runs_with(tmp_path, [gone])) == {out: [gone]}
    list(shorter)
    assert dict(runs_with(tmp_path, [gone])) == {}


def test_a_stage_of_another_run_in_the_same_folder_is_no_start(
    state, base_folder, features, texts, recipe, tmp_path
):
    start = converted("emotion-llama", state, base_folder, tmp_path / "start")
    train(base_folder, features, texts, recipe, tmp_path / "run", start)
    loaded, fine = load_base(str(base_folder)), replace(recipe, stages={"fine": recipe.stages["coarse"]})
    again = run_stages(
        loaded,
        features,
        texts[:24],
        texts[24:30],
        fine,
        tmp_path / "run",
        seed=2,
        start=tmp_path / "run" / "coarse",
        manner=Manner(fresh=True),
    )
    with pytest.raises(ConfigError, match="not of this run"):
        list(again)


def test_a_run_is_asked_in_every_state(state, base_folder, features, texts, recipe, tmp_path):
    start = converted("emotion-llama", state, base_folder, tmp_path / "start")
    out = tmp_path / "run"
    clips = texts[:24], texts[24:30]
    under_way = run_stages(load_base(str(base_folder)), features, *clips, recipe, out, seed=1, start=start)
    next(under_way)
    with pytest.raises(CheckpointError, match="not finished; no stage is finished"):
        load_system(out)
    list(under_way)
    everyone = [
        Clip(clip_id=text.clip_id, path=tmp_path / "none.mp4", label=label)
        for text, label in zip(texts, ["happy", "sad"] * len(texts), strict=False)
    ]
    held_out = [text.clip_id for text in texts[24:30]]
    for folder in (out, out / "coarse"):
        system = load_system(folder)
        assert [clip.clip_id for clip in system.validation(everyone, {})] == held_out
    (out / "emo.json").unlink()
    with pytest.raises(CheckpointError, match=r"can be asked already: .*coarse"):
        load_system(out)


def test_what_reads_pooled_frames_is_not_exported(state, base_folder, features, texts, recipe, tmp_path):
    """The official model has one vector of a clip; its projectors would not fit."""
    start = converted("emotion-llama", state, base_folder, tmp_path / "start")
    out = tmp_path / "run"
    train(base_folder, features, texts, replace(recipe, arrays={"mae": "frames:mean"}), out, start)
    with pytest.raises(CheckpointError, match="mae frames:mean"):
        export(out, tmp_path / "model.pth")
    assert not (tmp_path / "model.pth").exists()
