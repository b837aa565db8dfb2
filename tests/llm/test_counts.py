"""Parameters of the published size, counted on the meta device, and LoRA on bases of other families."""

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from emo.config.llm import SLOTS, LoraSettings
from emo.errors import ConfigError
from emo.heads.projectors import projectors_for
from emo.llm.model import EmotionLlama, with_lora

PAPER_DIMS = {"mae": 1024, "videomae": 1024, "hubert": 1024, "eva": 1408}
LLAMA_2_7B = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
}
SMALL = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def test_llama_2_7b_has_the_published_counts(tokenizer):
    with torch.device("meta"):
        llama = with_lora(LlamaForCausalLM(LlamaConfig(**LLAMA_2_7B)), LoraSettings())
        model = EmotionLlama(llama, tokenizer, projectors_for(SLOTS, PAPER_DIMS, 4096))
    counts = model.counts()
    assert counts.lora == 33_554_432
    assert counts.llama == 6_771_970_048
    assert counts.lora_share == pytest.approx(0.00495490, abs=1e-8)
    assert counts.projectors == 41_439_232
    assert counts.trained == 74_993_664
    assert sum(value.numel() for value in model.trained().values()) == counts.trained
    assert "33,554,432 (0.495% of 6,771,970,048)" in counts.sentence()


@pytest.mark.parametrize(
    "build",
    [
        lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
        lambda: MistralForCausalLM(MistralConfig(**SMALL)),
        lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL)),
    ],
    ids=["llama", "mistral", "qwen2"],
)
def test_any_llama_family_base_trains_only_adapters_and_projectors(build, tokenizer):
    with torch.device("meta"):
        llama = with_lora(build(), LoraSettings(rank=2, alpha=1))
        model = EmotionLlama(llama, tokenizer, projectors_for(("mae",), {"mae": 5}, 32))
    names = set(model.trained())
    assert {name for name in names if "lora_" not in name} == {
        "projectors.mae.linear.weight",
        "projectors.mae.linear.bias",
    }
    assert {name.split(".")[-4] for name in names if "lora_" in name} == {"q_proj", "v_proj"}


def test_a_target_that_the_base_lacks_is_named():
    with torch.device("meta"), pytest.raises(ConfigError, match="query_proj"):
        with_lora(LlamaForCausalLM(LlamaConfig(**SMALL)), LoraSettings(targets=("q_proj", "query_proj")))


def test_slots_without_features_get_no_projector():
    assert list(projectors_for(SLOTS, {"mae": 3, "eva": 2}, 4)) == ["eva_patches", "mae", "eva_class"]
    with pytest.raises(ConfigError, match="wavlm"):
        projectors_for(SLOTS, {"wavlm": 3}, 4)
