"""`emo llm tiny-base` and `emo train-llm`, from files on disk to a checkpoint that answers."""

import json
import subprocess
import sys
from dataclasses import replace
from types import ModuleType
from unittest.mock import Mock

import pytest
import torch
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.llm import llm
from emo.cli.train_llm import train_llm
from emo.clip import Clip
from emo.corpora import write_manifest
from emo.errors import CacheMiss, ConfigError
from emo.llm.checkpoint import load_checkpoint
from emo.records import Record

RECIPE = """
labels: [neutral, angry, happy, sad, worried, surprise]
lora: {rank: 4, alpha: 4}
standardise: true
projector_scale: 0.1
stages:
  coarse: {tasks: {emotion: 1.0, caption: 1.0}, steps: 2, batch_size: 4, warmup_steps: 1, peak_lr: 1.0e-3}
  fine: {tasks: {explain: 1.0}, steps: 1, batch_size: 4, warmup_steps: 1, peak_lr: 1.0e-3}
"""


@pytest.fixture(scope="module")
def place(kit, texts, batch, tmp_path_factory):
    """A folder with a manifest, MERR JSON and a cache; one clip has no features at all."""
    folder = tmp_path_factory.mktemp("place")
    splits = ["train"] * 24 + ["val"] * 6 + ["test"] * 6
    clips = [
        Clip(clip_id=text.clip_id, path=folder / f"{text.clip_id}.mp4", text=text.text, label=text.label,
             speaker=text.speaker, split=split)
        for text, split in zip(texts, splits, strict=True)
    ]  # fmt: skip
    write_manifest(folder / "manifest.jsonl", clips)
    coarse = {
        text.clip_id: {
            "visual_prior_list": [text.clues[0]],
            "audio_prior_list": text.clues[1],
            "caption": text.caption,
        }
        for text in texts
    }
    fine = {text.clip_id: {"smp_reason_caption": text.reason, "text": text.text} for text in texts}
    (folder / "MERR_coarse_grained.json").write_text(json.dumps(coarse))
    (folder / "MERR_fine_grained.json").write_text(json.dumps(fine))
    (folder / "recipe.yaml").write_text(RECIPE)
    cache = open_cache(folder / "features.zarr", "a")
    for name, source in batch.sources.items():
        with cache.create(source.spec).writer("none") as sink:
            for row, text in enumerate(texts):
                values = batch.values[name][row].numpy().astype("float16")
                record = Record(clip_id=text.clip_id, arrays={source.array: values})
                sink.put(replace(record, status="missing:no_face", arrays={}) if row == 5 else record)
    result = CliRunner().invoke(
        llm,
        ["tiny-base", "--manifest", str(folder), "--out", str(folder / "base"), "--steps", "1", "--json"],
        catch_exceptions=False,
    )  # fmt: skip
    assert json.loads(result.stdout)["clips"] == 24
    return folder


def train(place, *arguments):
    fixed = [
        *("--manifest", str(place / "manifest.jsonl"), "--cache", str(place / "features.zarr")),
        *("--recipe", str(place / "recipe.yaml"), "--out", str(place / "run")),
    ]
    return CliRunner().invoke(train_llm, [*fixed, *arguments], catch_exceptions=False)


def test_the_tiny_base_never_reads_test_clips(place):
    card = json.loads((place / "base/tiny-base.json").read_text())
    assert card["config"]["steps"] == 1
    assert (place / "base/model.safetensors").exists()


def test_training_prints_one_object_and_leaves_a_checkpoint(place, batch):
    result = train(place, "--base", str(place / "base"), "--json")
    printed = json.loads(result.stdout)
    assert printed["schema_version"] == 1
    assert printed["stages"].keys() == {"coarse", "fine"}
    assert printed["trainable"]["lora"] == 4 * 2 * 2 * 256 * 4
    assert "LoRA 16,384" in result.stderr
    loaded = load_checkpoint(place / "run", sources=batch.sources)
    assert loaded.card.base_digest
    assert set(loaded.model.projectors) == {"eva_patches", "mae", "videomae", "hubert", "eva_class"}


def test_one_stage_may_be_run_alone_on_some_features(place):
    out = str(place / "alone")
    train(place, "--base", str(place / "base"), "--stage", "coarse", "--features", "mae,hubert", "--out", out)
    loaded = load_checkpoint(place / "alone")
    assert list(loaded.card.config.stages) == ["coarse"]
    assert set(loaded.model.projectors) == {"mae", "hubert"}


def test_the_second_stage_goes_on_from_the_first(place):
    out = str(place / "apart")
    arguments = ["--base", str(place / "base"), "--out", out, "--features", "mae,hubert", "--stage"]
    with pytest.raises(ConfigError, match="--stage coarse"):
        train(place, *arguments, "fine")
    train(place, *arguments, "coarse")
    train(place, *arguments, "fine")
    apart, both = load_checkpoint(place / "apart"), place / "together"
    train(place, "--base", str(place / "base"), "--out", str(both), "--features", "mae,hubert")
    expected = load_checkpoint(both).model.trained()
    assert all(torch.equal(value, expected[name]) for name, value in apart.model.trained().items())


def test_a_tracker_of_the_second_stage_goes_on_after_the_first(place, monkeypatch):
    writers = []
    stand_in = ModuleType("tensorboard")
    stand_in.SummaryWriter = lambda *_, **settings: writers.append(Mock(settings=settings)) or writers[-1]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    arguments = ["--base", str(place / "base"), "--out", str(place / "tracked"), "--features", "mae"]
    for stage in ("coarse", "fine"):
        train(place, *arguments, "--track", "tensorboard", "--stage", stage)
    assert [writer.settings["purge_step"] for writer in writers] == [1, 3]
    assert {call.args[2] for call in writers[1].add_scalar.call_args_list} == {3}


def test_without_a_base_the_message_names_the_command_that_makes_one(place):
    with pytest.raises(ConfigError, match="emo llm tiny-base"):
        train(place)


def test_a_feature_that_was_never_extracted_names_the_command_that_does(place):
    with pytest.raises(CacheMiss, match="emo extract"):
        train(place, "--base", str(place / "base"), "--features", "wavlm")


def test_training_loads_no_encoder_and_no_media_library():
    code = (
        "import sys; import emo.llm.training.runs, emo.llm.scoring, emo.llm.generation, emo.llm.checkpoint;"
        "print([name for name in sys.modules if name.startswith(('emo.extractors', 'timm', 'av.'))])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize(("command", "arguments"), [(train_llm, ["--help"]), (llm, ["tiny-base", "--help"])])
def test_help_shows_two_examples(command, arguments):
    out = CliRunner().invoke(command, arguments).stdout
    assert out.count("\n  emo ") >= 2
