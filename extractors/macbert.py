"""MacBERT on subtitles, for Chinese. Source: Cui et al. 2020, arXiv 2004.13922. Its class is BERT's.

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
    "max_position_embeddings": 512,
}


def _preset(size: str) -> TextPreset:
    repo = f"hfl/chinese-macbert-{size}"
    return TextPreset(
        source=Source(
            repo=repo,
            licence=Licence(name="Apache-2.0", source=f"https://huggingface.co/{repo}"),
            paper="arXiv 2004.13922",
            also=(TOKENIZER,),
        )
    )


PRESETS: dict[str, TextPreset] = {
    "base": _preset("base"),
    "large": _preset("large"),
    "tiny": TextPreset(source=random_source(TINY_CONFIG)),
}


class MacBert(TextEncoder):
    """MacBERT. See TextEncoder."""

    family = TextFamily(name="macbert", model_class="BertModel", presets=PRESETS)
