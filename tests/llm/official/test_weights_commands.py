"""`emo weights convert | export | merge` for the LLaMA stage: what they print and what they leave."""

import json

import pytest
import torch
from click.testing import CliRunner

from emo.cli.weights import weights
from emo.digests import sha256_file
from emo.errors import CheckpointError
from emo.llm.checkpoint import load_checkpoint


def run(*arguments):
    return CliRunner().invoke(weights, [str(one) for one in arguments], catch_exceptions=False)


@pytest.fixture
def released(state, base_folder, tmp_path):
    torch.save({"model": state, "epoch": 29}, tmp_path / "checkpoint_best.pth")
    return tmp_path / "checkpoint_best.pth"


def test_there_and_back_with_the_digests_of_all_files(released, state, base_folder, tmp_path):
    result = run("convert", "emotion-llama", released, tmp_path / "c", "--base", base_folder, "--json")
    told = json.loads(result.stdout)
    assert told["source_sha256"] == sha256_file(released)
    assert told["sha256"] == {name: sha256_file(tmp_path / "c" / name) for name in told["sha256"]}
    assert (told["rank"], told["alpha"], told["fresh"]) == (8, 2, [])
    assert "features of any recipe are taken" in result.stderr
    result = run("export", "emotion-llama", tmp_path / "c", tmp_path / "back.pth")
    assert sha256_file(tmp_path / "back.pth") in result.stdout
    assert "lora_r: 8, lora_alpha: 2" in result.stderr
    back = torch.load(tmp_path / "back.pth", weights_only=True)["model"]
    assert all(torch.equal(back[name], value) for name, value in state.items())


def test_alpha_may_be_another(released, base_folder, tmp_path):
    run("convert", "emotion-llama", released, tmp_path / "c", "--base", base_folder, "--alpha", "16")
    assert load_checkpoint(tmp_path / "c").card.config.lora.alpha == 16


def test_a_merged_converted_checkpoint_still_answers_and_still_warns(released, base_folder, tmp_path):
    run("convert", "emotion-llama", released, tmp_path / "c", "--base", base_folder)
    run("merge", tmp_path / "c", tmp_path / "merged")
    assert load_checkpoint(tmp_path / "merged").card.origin.file == "checkpoint_best.pth"
    with pytest.raises(CheckpointError, match="unmerged"):
        run("export", "emotion-llama", tmp_path / "merged", tmp_path / "back.pth")


def test_minigpt_v2_says_what_starts_fresh(state, base_folder, tmp_path):
    kept = {name: value for name, value in state.items() if "lora_" in name or name[:10] == "llama_proj"}
    torch.save({"model": kept}, tmp_path / "minigptv2_checkpoint.pth")
    arguments = ("convert", "minigpt-v2", tmp_path / "minigptv2_checkpoint.pth", tmp_path / "m")
    result = run(*arguments, "--base", base_folder)
    assert "no projectors for mae, videomae, hubert, eva_class" in result.stderr


def test_an_encoder_has_no_llama_and_a_stage_needs_a_folder(released):
    assert "has no LLaMA" in run("convert", "eva", released, "--base", "x").stderr
    assert "OUT is missing" in run("convert", "emotion-llama", released).stderr
