"""Checkpoints: what was trained comes back, peft reads the adapter, nothing is loaded half."""

import json
import os
import shutil
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from emo.digests import sha256_file
from emo.errors import CheckpointError, ConfigError, MissingDependency, StaleCache
from emo.heads.batches import Source
from emo.heads.standardise import Standardiser
from emo.labels import MER2023
from emo.llm.base import directory_digest, load_base
from emo.llm.build import assemble
from emo.llm.checkpoint import (
    ADAPTER,
    ADAPTER_CONFIG,
    CARD,
    PROJECTORS,
    Card,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from emo.llm.examples import ask, question
from emo.llm.prompts import TEMPLATES
from emo.llm.scoring import label_log_likelihoods
from emo.pipeline.systems import load_system


@pytest.fixture
def saved(base, batch, config, kit, tmp_path):
    """A model with weights of its own, saved, over a base that lies beside it."""
    folder = tmp_path / "base"
    base.llama.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    loaded = load_base(str(folder))
    model = assemble(loaded, kit.dims, config, Standardiser.fit(batch), seed=3)
    with torch.no_grad():
        for value in model.trained().values():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(5)) * 0.05)
    card = Card(
        config=config,
        dims=kit.dims,
        sources=batch.sources,
        base=loaded.reference,
        base_digest=loaded.digest,
        seed=3,
        trained={"coarse": {"step": 2}},
    )
    save_checkpoint(model, card, tmp_path / "run")
    return model.eval(), card, tmp_path / "run"


def rewrite(folder, file, tensors):
    """Other tensors under a card that knows them: what a faulty writer would leave."""
    save_file(tensors, folder / file)
    card = json.loads((folder / CARD).read_text())
    card["files"][file] = sha256_file(folder / file)
    (folder / CARD).write_text(json.dumps(card))


def scores(model, texts, batch):
    prompts = [ask(TEMPLATES["emo"], question(text, "emotion", MER2023)) for text in texts[:3]]
    return label_log_likelihoods(model, prompts, batch.take(range(3)), MER2023)


def test_what_was_saved_answers_the_same(saved, texts, batch):
    model, card, folder = saved
    loaded = load_checkpoint(folder, sources=batch.sources)
    assert_close(scores(loaded.model, texts, batch), scores(model, texts, batch), rtol=0, atol=1e-6)
    assert replace(loaded.card, commit=None, files={}) == replace(card, base=loaded.card.base)
    assert not loaded.model.training


def test_peft_loads_the_folder_as_an_adapter(saved):
    from peft import PeftModel

    model, card, folder = saved
    fresh = PeftModel.from_pretrained(load_base(card.base).llama, folder)
    adapted = dict(fresh.named_parameters())
    lora = {name: value for name, value in model.llama.named_parameters() if "lora_" in name}
    assert lora
    assert all(torch.equal(adapted[name], value) for name, value in lora.items())


@pytest.mark.parametrize("file", [ADAPTER, PROJECTORS])
def test_a_missing_tensor_is_named(saved, file):
    *_, folder = saved
    tensors = load_file(folder / file)
    lost = next(name for name in tensors if "weight" in name)
    rewrite(folder, file, {name: value for name, value in tensors.items() if name != lost})
    with pytest.raises(CheckpointError, match=lost.split(".", 1)[1] + " is missing"):
        load_checkpoint(folder)


def test_a_tensor_of_another_shape_or_name_is_named(saved):
    *_, folder = saved
    tensors = load_file(folder / PROJECTORS)
    tensors["projectors.mae.linear.bias"] = torch.zeros(3)
    tensors["projectors.wavlm.linear.bias"] = torch.zeros(3)
    rewrite(folder, PROJECTORS, tensors)
    with pytest.raises(
        CheckpointError, match=r"wavlm.linear.bias belongs nowhere; mae.linear.bias is \(3,\)"
    ):
        load_checkpoint(folder)


@pytest.mark.parametrize("file", [ADAPTER, ADAPTER_CONFIG, PROJECTORS])
def test_a_flipped_byte_is_noticed_and_its_file_named(saved, file):
    *_, folder = saved
    content = bytearray((folder / file).read_bytes())
    content[-2] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{file}: SHA-256"):
        load_checkpoint(folder)
    (folder / file).unlink()
    with pytest.raises(CheckpointError, match=rf"{file}: cannot be read"):
        load_checkpoint(folder)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_get_the_access_rights_of_any_new_file(saved, tmp_path, umask, mode):
    model, card, _ = saved
    before = os.umask(umask)
    try:
        save_checkpoint(model, card, tmp_path / "shared")
        save_checkpoint(model, card, tmp_path / "shared")
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "shared").iterdir()}
    assert modes == dict.fromkeys((ADAPTER, ADAPTER_CONFIG, CARD, PROJECTORS), mode)


def test_a_recipe_that_would_scale_the_weights_otherwise_is_no_start(saved, kit, config):
    _, card, folder = saved
    other = replace(config, lora=replace(config.lora, alpha=8), standardise=False)
    model = assemble(load_base(card.base), kit.dims, other, None, seed=0)
    with pytest.raises(CheckpointError, match=r"lora\.alpha: 2"):
        load_weights(model, folder)


def test_features_of_another_recipe_are_refused_unless_forced(saved, batch, kit):
    *_, folder = saved
    other = {**batch.sources, "mae": Source(kit.spec("mae", version=2), "utterance")}
    with pytest.raises(StaleCache, match=r"mae.*recipe_version"):
        load_checkpoint(folder, sources=other)
    assert load_checkpoint(folder, sources=other, force=True).card.seed == 3


def test_another_array_of_the_same_recipe_is_refused_too(saved, batch):
    """A mean over frames has the shape of the vector that was trained on, and is another thing."""
    *_, folder = saved
    other = {**batch.sources, "mae": Source(batch.sources["mae"].spec, "frames:mean")}
    with pytest.raises(StaleCache, match=r"mae.*Different: array"):
        load_checkpoint(folder, sources=other)


def test_features_that_are_absent_at_prediction_are_no_other_recipe(saved, batch):
    *_, folder = saved
    load_checkpoint(folder, sources={"mae": batch.sources["mae"]})


def test_another_base_is_refused_unless_forced(saved, tmp_path):
    _, card, folder = saved
    other = tmp_path / "other"
    shutil.copytree(card.base, other)
    tensors = load_file(other / "model.safetensors")
    tensors["model.norm.weight"] += 1
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="digest"):
        load_checkpoint(folder, base=str(other))
    load_checkpoint(folder, base=str(other), force=True)


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is here")
@pytest.mark.parametrize("bits", [4, 8])
def test_asked_for_in_few_bits_its_base_is_quantised(saved, bits):
    with pytest.raises(MissingDependency, match=f"a base of {bits} bits needs bitsandbytes"):
        load_system(saved[2], bits=bits)


def test_folders_may_move_together(saved, texts, batch, tmp_path):
    model, _, folder = saved
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("base", "run"):
        (tmp_path / name).rename(moved / name)
    assert_close(
        scores(load_checkpoint(moved / folder.name).model, texts, batch), scores(model, texts, batch)
    )


def test_a_folder_without_a_card_is_no_checkpoint(saved):
    *_, folder = saved
    (folder / CARD).unlink()
    with pytest.raises(CheckpointError, match="train-llm"):
        load_checkpoint(folder)


def test_a_card_of_another_format_or_with_a_hole_is_refused(saved):
    *_, folder = saved
    card = json.loads((folder / CARD).read_text())
    for broken in ({**card, "format": 99}, {key: value for key, value in card.items() if key != "dims"}):
        (folder / CARD).write_text(json.dumps(broken))
        with pytest.raises(CheckpointError, match=r"format|dims"):
            load_checkpoint(folder)


def test_an_interrupted_save_leaves_no_card(saved, monkeypatch):
    model, card, folder = saved

    def full_disk(*_, **__):
        raise OSError(28, "no space left")

    monkeypatch.setattr("emo.llm.weight_files.save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(model, card, folder)
    with pytest.raises(CheckpointError):
        load_checkpoint(folder)


def test_the_digest_follows_the_weights_and_nothing_else(saved):
    from pathlib import Path

    _, card, _ = saved
    folder = Path(card.base)
    (folder / "README.md").write_text("words")
    assert directory_digest(folder) == card.base_digest
    (folder / "config.json").write_text("{}")
    assert directory_digest(folder) != card.base_digest


def test_a_base_that_is_not_there_points_to_tiny_base(tmp_path):
    for reference in ("", str(tmp_path), "no-such-folder", "../a/b"):
        with pytest.raises(ConfigError, match="emo llm tiny-base"):
            load_base(reference)
