"""Which card holds LLaMA-2-7B with the paper's adapters and projectors, and rows of how many tokens.

    python benchmarks/cards.py --json

Computed by emo.llm.training.footprint, as in `emo train-llm --dry-run`; nothing is measured and no weights
are needed. A quarter of the tokens is supervised, a high share; RESERVE is left to driver and allocator.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import torch
from side_by_side.world import tokenizer_of

from emo.config.hardware import HardwareConfig
from emo.config.llm import SLOTS, LoraSettings
from emo.heads.projectors import projectors_for
from emo.llm.model import EmotionLlama, with_lora
from emo.llm.training.footprint import memory, shape_of

GIB = 2**30
CARDS = (12, 16, 24, 48, 80)
RESERVE = 1.5 * GIB
SUPERVISED = 0.25
STEP = 1024
SHAPE = {"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}
DIMS = {"mae": 1024, "videomae": 1024, "hubert": 1024, "eva": 1408}
CHOICES: dict[str, dict[str, Any]] = {
    "--dtype bfloat16": {},
    "--dtype bfloat16 --checkpointing": {"checkpointing": True},
    "--bits 8 --checkpointing": {"bits": 8, "checkpointing": True},
    "--bits 4": {"bits": 4},
    "--bits 4 --checkpointing": {"bits": 4, "checkpointing": True},
    "--gpus 2 --strategy fsdp2 --checkpointing": {"gpus": 2, "strategy": "fsdp2", "checkpointing": True},
    "--gpus 4 --strategy fsdp2 --checkpointing": {"gpus": 4, "strategy": "fsdp2", "checkpointing": True},
}


def main() -> None:
    """One row a choice of options: fixed memory, bytes a token, and the row that fits each card."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = {name: row(choice) for name, choice in CHOICES.items()}
    if options.json:
        print(json.dumps({"benchmark": "cards", "cards_gib": CARDS, "rows": rows}))
        return
    print("| options | fixed GiB | MiB a token |", *(f" {card} GB |" for card in CARDS), sep="")
    print("|---|---|---|", "---|" * len(CARDS), sep="")
    for name, one in rows.items():
        fits = " | ".join(f"{tokens:,}" if tokens else "no" for tokens in one["row_tokens"])
        print(f"| `{name}` | {one['fixed_gib']:.1f} | {one['mib_per_token']:.2f} | {fits} |")


def row(choice: dict[str, Any]) -> dict[str, Any]:
    """What the options make of LLaMA-2-7B."""
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):
        llama = with_lora(LlamaForCausalLM(LlamaConfig(**SHAPE)), LoraSettings())
        model = EmotionLlama(llama, tokenizer_of(512), projectors_for(SLOTS, DIMS, 4096))
    shape = shape_of(model, LoraSettings())
    hardware = HardwareConfig(device="cuda", dtype="bfloat16", **choice)

    def total(tokens: int) -> float:
        answers = int(SUPERVISED * tokens)
        return memory(model, shape, hardware, row_tokens=tokens, answer_tokens=answers).total

    fixed, per_token = total(0), (total(STEP) - total(0)) / STEP
    room = [int((card * GIB - RESERVE - fixed) / per_token) // STEP * STEP for card in CARDS]
    return {
        "fixed_gib": fixed / GIB,
        "mib_per_token": per_token / 2**20,
        "row_tokens": [max(0, tokens) for tokens in room],
    }


if __name__ == "__main__":
    main()
