"""Records `golden/`: a tiny EmotionLlama with inputs and outputs, for machines without the official vectors.

Run it only on code whose parity with the official vectors has just been shown (test_golden.py), and say in
the commit why the figures changed: python tests/llm/record_golden.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

from emo.config.decoding import Decoding
from emo.config.llm import SLOTS, LoraSettings
from emo.heads.batches import FeatureBatch
from emo.heads.projectors import projectors_for
from emo.labels import MER2023
from emo.llm.generation import token_steps
from emo.llm.model import EmotionLlama, with_lora
from emo.llm.prompts import TASKS, TEMPLATES, instruction
from emo.llm.scoring import label_log_likelihoods
from emo.llm.tiny.tokenizer import train_tokenizer

FOLDER = Path(__file__).parent / "golden"
TENSORS, TOKENIZER = FOLDER / "emotion_llama.safetensors", FOLDER / "tokenizer"
DIMS = {"mae": 6, "videomae": 5, "hubert": 4, "eva": 3}
PATCHES, CLIPS, NEW_TOKENS = 8, 2, 6
SAID = ("No.", "We waited at the station.")
ANSWERS = ("happy", "The brows are lowered. So the emotion is angry.")
TASKS_ASKED = ("emotion", "reason")


def build(tokenizer):
    """The model with the weights it happens to get; `test_own_golden.py` fills in the recorded ones."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.3,
    )
    llama = LlamaForCausalLM(shape).requires_grad_(False)
    adapted = with_lora(llama, LoraSettings(rank=2, alpha=1, dropout=0.0))
    return EmotionLlama(adapted, tokenizer, projectors_for(SLOTS, DIMS, 16)).eval()


def features_of(tensors):
    """The second clip has no EVA feature."""
    values = {name: tensors[f"features.{name}"] for name in DIMS}
    masks = {name: torch.ones(CLIPS, dtype=torch.bool) for name in DIMS}
    masks["eva"][1] = False
    return FeatureBatch(tuple(f"clip{row}" for row in range(CLIPS)), values, masks)


def prompts():
    asked = [(said, TASKS[task]) for said, task in zip(SAID, TASKS_ASKED, strict=True)]
    return [
        TEMPLATES["emo"].prompt(text=said, tag=task.tag, instruction=instruction(task, MER2023))
        for said, task in asked
    ]


def outputs(model, features):
    """Everything that is compared, by name."""
    asked = prompts()
    spliced = model.embed(asked, features, [model.codec.answer(answer) for answer in ANSWERS])
    loss = model.answer_loss(spliced)
    model.zero_grad()
    loss.mean.backward()
    supervised = spliced.labels[:, 1:] >= 0
    steps = token_steps(model, asked, features, Decoding(max_new_tokens=NEW_TOKENS))
    return {
        "inputs_embeds": spliced.inputs_embeds.detach(),
        "attention_mask": spliced.attention_mask,
        "labels": spliced.labels,
        "loss": loss.mean.detach(),
        "logits": model.logits(model.hidden(spliced)[:, :-1][supervised]).detach(),
        "gradient_norms": torch.stack([value.grad.norm() for value in model.trained().values()]),
        "label_log_likelihoods": label_log_likelihoods(model, asked, features, MER2023).clone(),
        "greedy": torch.stack([step.tokens for step in steps], dim=1).clone(),
    }


def record():
    torch.manual_seed(388)
    words = [*SAID, *ANSWERS, "The face shows raised cheeks and the voice is lively."]
    tokenizer = train_tokenizer(words * 3, MER2023, vocabulary=360, positions=256)
    model = build(tokenizer)
    with torch.no_grad():
        for value in model.trained().values():
            value.add_(torch.randn_like(value) * 0.3)
    inputs = {
        f"features.{name}": torch.randn(CLIPS, 1 + PATCHES, dim) if name == "eva" else torch.randn(CLIPS, dim)
        for name, dim in DIMS.items()
    }
    weights = {f"weights.{name}": value for name, value in model.state_dict().items()}
    found = {f"outputs.{name}": value for name, value in outputs(model, features_of(inputs)).items()}
    tokenizer.save_pretrained(TOKENIZER)
    tensors = {**weights, **inputs, **found}
    save_file({name: value.clone().contiguous() for name, value in tensors.items()}, TENSORS)


if __name__ == "__main__":
    record()
