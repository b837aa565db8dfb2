"""WavLM: HuBERT's road with gated relative positions. Source: Chen et al. 2021, arXiv 2110.13900.

The large model has layer norms in its convolutions, the base one group norms: its clips run singly.
"""

from __future__ import annotations

from emo.canonical import Json
from emo.extractors.hubert import TINY_CONFIG as TINY_HUBERT
from emo.extractors.random_weights import random_source
from emo.extractors.sources import Source
from emo.extractors.speech import SpeechEncoder, SpeechFamily, SpeechPreset
from emo.spec import Licence

PAPER = "arXiv 2110.13900"
LICENCE = Licence(name="CC-BY-SA-3.0", source="https://github.com/microsoft/UniSpeech/blob/main/LICENSE")
TINY_CONFIG: dict[str, Json] = {**TINY_HUBERT, "num_buckets": 32, "max_bucket_distance": 80}
PRESETS: dict[str, SpeechPreset] = {
    "base": SpeechPreset(source=Source(repo="microsoft/wavlm-base-plus", licence=LICENCE, paper=PAPER)),
    "large": SpeechPreset(source=Source(repo="microsoft/wavlm-large", licence=LICENCE, paper=PAPER)),
    "tiny": SpeechPreset(source=random_source(TINY_CONFIG)),
}
# transformers' WavLM adds its positions inside torch's own attention and refuses SDPA.
FAMILY = SpeechFamily(name="wavlm", model_class="WavLMModel", presets=PRESETS, attention="eager")


class WavLM(SpeechEncoder):
    """WavLM. See SpeechEncoder."""

    family = FAMILY
