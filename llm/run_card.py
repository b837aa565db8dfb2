"""README.md beside a trained LLaMA stage: its base, its stages, what it reads, and what its data allow.

Knows the card of a checkpoint, no tensors; how a card reads is `emo.model_card`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emo.llm.card import Card
from emo.model_card import ModelCard
from emo.rights import DataRights
from emo.spec import Licence

NOT_TESTED = (
    "Of validation speakers, who chose the step that was kept; no test clip was looked at. "
    "`emo evaluate --model THIS_FOLDER --out scores` gives test scores with intervals over speakers and the "
    "rate of answers that name no label."
)


def run_card(card: Card, data: Sequence[DataRights]) -> str:
    """The card in Markdown; `data` are the rights of the clips, undeclared where empty."""
    base = Path(card.base).name if Path(card.base).exists() else card.base
    reads = [
        f"- {name}: {source.array} of `{source.spec.short}` (preset {source.spec.preset})"
        for name, source in card.sources.items()
    ]
    weights = {f"weights of {name}": source.spec.licence for name, source in card.sources.items()}
    return ModelCard(
        title=f"Projectors and LoRA on {base}",
        about=f"Answers {', '.join(card.config.labels)}, with reasons. Base digest "
        f"`{card.base_digest[:16] or 'unknown'}`, seed {card.seed}, code {card.commit or 'of no commit'}.",
        scores=f"{_stages(card)}\n\n{NOT_TESTED}",
        weights={**weights, f"base {base}": Licence(name="unknown", source="its own card says")},
        data=data,
        tags=["emotion-llama", "lora"],
        base_model="" if Path(card.base).exists() else card.base,
        sections={"Reads": "\n".join(reads) or "Words alone."},
    ).markdown()


def _stages(card: Card) -> str:
    lines = ["| stage | kept |", "|---|---|"]
    for name, told in card.trained.items():
        kept = ", ".join(f"{key} {value}" for key, value in told.items()) if isinstance(told, dict) else told
        lines.append(f"| {name} | {kept} |")
    return "\n".join(lines)
