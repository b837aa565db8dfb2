"""README.md beside a trained head: what it answers, from what, how well, and what its data allow.

Knows heads and no caches; how a card reads is `emo.model_card`.
"""

from __future__ import annotations

from collections.abc import Sequence

from emo.heads.trained import TrainedHead
from emo.model_card import ModelCard
from emo.rights import DataRights

ALWAYS_ANSWERS = "A head answers for every clip with a feature: none of its answers cannot be read."


def head_card(head: TrainedHead, results: str, data: Sequence[DataRights]) -> str:
    """The card in Markdown; `results` is a table, `data` the rights of the clips, undeclared where empty."""
    features = [
        f"- {name}: {source.array} of `{source.spec.short}` (preset {source.spec.preset})"
        for name, source in head.sources.items()
    ]
    answers = ", ".join(head.labels) + (", and a valence" if head.config.valence > 0 else "")
    return ModelCard(
        title=f"Classifier head `{head.config.head}`",
        about=f"Answers {answers}. Seed {head.config.seed}, code {head.commit or 'of no commit'}.",
        scores=f"{results.strip()}\n\n{ALWAYS_ANSWERS}",
        weights={f"weights of {name}": source.spec.licence for name, source in head.sources.items()},
        data=data,
        tags=["classifier"],
        sections={"Reads": "\n".join(features)},
    ).markdown()
