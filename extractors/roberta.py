"""RoBERTa on subtitles, for English. Source: Liu et al. 2019, arXiv 1907.11692.

Knows weights; how they run is `text`.
"""

from __future__ import annotations

from emo.canonical import Json
from emo.extractors.random_weights import random_source
from emo.extractors.sources import Source
from emo.extractors.text import TOKENIZER, TextEncoder, TextFamily, TextPreset
from emo.spec import Licence

TINY_CONFIG: dict[str, Json] = {
    "vocab_size": 260,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}


def _preset(size: str) -> TextPreset:
    repo = f"FacebookAI/roberta-{size}"
    return TextPreset(
        source=Source(
            repo=repo,
            licence=Licence(name="MIT", source=f"https://huggingface.co/{repo}"),
            paper="arXiv 1907.11692",
            also=(TOKENIZER,),
        )
    )


PRESETS: dict[str, TextPreset] = {
    "base": _preset("base"),
    "large": _preset("large"),
    "tiny": TextPreset(source=random_source(TINY_CONFIG)),
}


class Roberta(TextEncoder):
    """RoBERTa. See TextEncoder."""

    # positions count from behind the padding's own, so two of them are never used
    family = TextFamily(name="roberta", model_class="RobertaModel", presets=PRESETS, kept=2)
