"""MacBERT on subtitles, for Chinese. Source: Cui et al. 2020, arXiv 2004.13922. Its class is BERT's.

Knows weights; how they run is `text`.
"""

from __future__ import annotations

from emo.extractors.text import TextEncoder, TextFamily, of_the_hub

PRESETS = of_the_hub("hfl/chinese-macbert", "Apache-2.0", "arXiv 2004.13922")


class MacBert(TextEncoder):
    """MacBERT. See TextEncoder."""

    family = TextFamily(name="macbert", model_class="BertModel", presets=PRESETS)
