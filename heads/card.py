"""README.md beside a trained head: what it answers, from what, how well, and what its data allow.

A model inherits the rights of the clips it was trained on. Knows no caches.
"""

from __future__ import annotations

from collections.abc import Sequence

from emo.heads.trained import TrainedHead
from emo.rights import UNDECLARED, DataRights, strictest


def head_card(head: TrainedHead, results: str, data: Sequence[DataRights]) -> str:
    """The card in Markdown; `results` is a table, `data` the rights of the clips, undeclared where empty."""
    declared = list(data) or [UNDECLARED]
    features = [
        f"- {name}: {source.array} of `{source.spec.short}` (preset {source.spec.preset})"
        for name, source in head.sources.items()
    ]
    cited = [f"- {record.citation}" for record in declared if record.citation]
    parts = [
        f"# Classifier head `{head.config.head}`",
        f"Answers {', '.join(head.labels)}"
        + (", and a valence" if head.config.valence > 0 else "")
        + f". Seed {head.config.seed}, code {head.commit or 'of no commit'}.",
        "## Reads",
        "\n".join(features),
        "## Scores",
        results.strip(),
        "## Data",
        f"Trained on clips under: {strictest(record.licence for record in declared)}. "
        "What holds for the data holds for this head:",
        "\n".join(f"- {record.sentence}" for record in declared),
    ]
    if cited:
        parts += ["Cite:", "\n".join(cited)]
    parts += ["## Use", "    emo predict CLIP --model THIS_FOLDER"]
    return "\n\n".join(parts) + "\n"
