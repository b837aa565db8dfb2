"""A set built here trains the LLaMA stage with no further step, coarse and then fine."""

import json

import pytest
from click.testing import CliRunner
from transformers import LlamaConfig, LlamaForCausalLM

from emo.cli.main import emo
from emo.corpora.merr_files import read_entries
from emo.labels import MER2023
from emo.llm.tiny.tokenizer import train_tokenizer

RECIPE = """\
labels: [neutral, angry, happy, sad, worried, surprise]
lora: {rank: 4, alpha: 4}
template: emo
stages:
  coarse: &stage
    tasks: {emotion: 0.5, caption: 0.5}
    clips: coarse
    steps: 2
    batch_size: 4
    warmup_steps: 1
    peak_lr: 1.0e-3
  fine:
    <<: *stage
    clips: fine
    tasks: {reason: 1.0}
"""


@pytest.mark.slow
def test_a_built_set_trains_both_stages(built, corpus, tmp_path):
    found = [read_entries(built / f"MERR_{name}_grained.json") for name in ("coarse", "fine")]
    words = [str(entry["caption"]) for entry in found[0].values()]
    words += [str(entry["smp_reason_caption"]) for entry in found[1].values()]
    tokenizer = train_tokenizer(words, MER2023, vocabulary=400, positions=512)
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(shape).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    typed = ["-q", "train-llm", "--manifest", str(corpus), "--merr", str(built), "--features", "none"]
    typed += ["--base", str(tmp_path / "base"), "--recipe", str(tmp_path / "recipe.yaml")]
    result = CliRunner().invoke(emo, [*typed, "--out", str(tmp_path / "run"), "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert set(json.loads(result.stdout)["stages"]) == {"coarse", "fine"}
