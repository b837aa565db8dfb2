"""Language models that were never trained, saved in the real format: for roads, not for answers."""

import pytest


@pytest.fixture(scope="session")
def save_llama():
    """Save a LLaMA of one layer and its tokenizer, and get the folder back."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def save(folder, tokenizer, positions):
        shape = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=positions,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            LlamaForCausalLM(shape).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return save
