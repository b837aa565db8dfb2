"""A merged checkpoint: a plain LLaMA for any tool, and still a checkpoint that answers the same."""

import json

import pytest
import torch
from torch.testing import assert_close

from emo.errors import CheckpointError, ConfigError
from emo.evaluation.temperature import Calibration
from emo.heads.standardise import Standardiser
from emo.llm.base import load_base
from emo.llm.build import assemble
from emo.llm.checkpoint import Card, load_checkpoint, load_weights, save_checkpoint
from emo.llm.examples import ask, question
from emo.llm.merge import merge_checkpoint
from emo.llm.prompts import TEMPLATES
from emo.pipeline.calibration import carry_calibration, read_calibration, write_calibration
from emo.rights import DataRights
from emo.run_clips import read_run_clips, write_run_clips
from emo.run_data import RunData, SeenClip, read_run_data, write_run_data


@pytest.fixture
def saved(base, batch, config, kit, tmp_path):
    base.llama.save_pretrained(tmp_path / "base")
    base.tokenizer.save_pretrained(tmp_path / "base")
    loaded = load_base(str(tmp_path / "base"))
    model = assemble(loaded, kit.dims, config, Standardiser.fit(batch), seed=3)
    with torch.no_grad():
        for value in model.trained().values():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(5)) * 0.1)
    card = Card(
        config=config, dims=kit.dims, sources=batch.sources, base=loaded.reference, base_digest=loaded.digest
    )
    save_checkpoint(model, card, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def merged(saved, tmp_path):
    merge_checkpoint(saved, tmp_path / "merged")
    return tmp_path / "merged"


def logits(model, texts, batch):
    prompts = [ask(TEMPLATES["emo"], question(text, "emotion", ("happy", "sad"))) for text in texts[:3]]
    with torch.inference_mode():
        return model.logits(model.hidden(model.embed(prompts, batch.take(range(3)))))


def test_the_merged_model_has_the_logits_of_the_adapted_one(saved, merged, texts, batch):
    adapted, again = load_checkpoint(saved), load_checkpoint(merged, sources=batch.sources)
    assert not any("lora_" in name for name, _ in again.model.named_parameters())
    expected = logits(adapted.model, texts, batch)
    assert_close(logits(again.model, texts, batch), expected, rtol=0, atol=1e-5)
    without = load_checkpoint(saved).model
    without.llama.disable_adapter_layers()
    assert (logits(without, texts, batch) - expected).abs().max() > 1e-2


def test_transformers_loads_the_directory_as_any_llama(saved, merged):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    plain, loading = AutoModelForCausalLM.from_pretrained(merged / "llama", output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    ids = AutoTokenizer.from_pretrained(merged / "llama")("The face shows", return_tensors="pt")["input_ids"]
    adapted = load_checkpoint(saved).model.llama
    assert_close(plain(ids).logits, adapted(ids).logits, rtol=0, atol=1e-5)
    assert not [name for name in json.loads((merged / "llama/config.json").read_text()) if "emo" in name]


def test_a_merged_checkpoint_moves_as_one_folder(merged, tmp_path):
    merged.rename(tmp_path / "elsewhere")
    load_checkpoint(tmp_path / "elsewhere")


def test_a_merged_checkpoint_is_neither_merged_again_nor_a_start(merged, base, kit, config, tmp_path):
    with pytest.raises(CheckpointError, match="merged already"):
        merge_checkpoint(merged, tmp_path / "twice")
    with pytest.raises(CheckpointError, match="no adapter to go on from"):
        load_weights(assemble(base, kit.dims, config, None, seed=0), merged)


def test_the_calibration_goes_along_and_stays_bound_to_the_weights(saved, merged, config):
    write_calibration(saved, Calibration(1.5), config.labels, {"n": 6})
    assert carry_calibration(saved, merged, config.labels)
    assert read_calibration(merged, config.labels) == Calibration(1.5)


def test_a_folder_that_holds_something_is_not_merged_into(saved, tmp_path):
    before = {file.name: file.read_bytes() for file in saved.iterdir()}
    with pytest.raises(ConfigError, match="not empty"):
        merge_checkpoint(saved, saved)
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == before


def test_the_clips_go_along(saved, tmp_path):
    write_run_clips(saved, {"train": ["a"], "val": ["b"]})
    write_run_data(saved, RunData((DataRights(name="mer2023"),), (SeenClip("a", "mer2023"),)))
    merge_checkpoint(saved, tmp_path / "other")
    assert read_run_clips(tmp_path / "other") == {"train": ["a"], "val": ["b"]}
    assert read_run_data(tmp_path / "other") == read_run_data(saved)
