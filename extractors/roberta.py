"""RoBERTa on subtitles, for English. Source: Liu et al. 2019, arXiv 1907.11692.

Knows weights; how they run is `text`.
"""

from __future__ import annotations

from emo.canonical import Json
from emo.extractors.text import TextEncoder, TextFamily, of_the_hub

TINY: dict[str, Json] = {
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
PRESETS = of_the_hub("FacebookAI/roberta", "MIT", "arXiv 1907.11692", tiny=TINY)


class Roberta(TextEncoder):
    """RoBERTa. See TextEncoder."""

    # positions count from behind the padding's own, so two of them are never used
    family = TextFamily(name="roberta", model_class="RobertaModel", presets=PRESETS, kept=2)
