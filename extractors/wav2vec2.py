"""wav2vec 2.0. Source: Baevski et al. 2020, arXiv 2006.11477; `large` is XLSR-53, arXiv 2006.13979.

The large model has layer norms in its convolutions, the base one group norms: its clips run singly.
"""

from __future__ import annotations

from emo.canonical import Json
from emo.extractors.hubert import TINY_CONFIG as TINY_HUBERT
from emo.extractors.random_weights import random_source
from emo.extractors.sources import Source
from emo.extractors.speech import SpeechEncoder, SpeechFamily, SpeechPreset
from emo.spec import Licence

TINY_CONFIG: dict[str, Json] = dict(TINY_HUBERT)
PRESETS: dict[str, SpeechPreset] = {
    "base": SpeechPreset(
        source=Source(
            repo="facebook/wav2vec2-base",
            licence=Licence(name="Apache-2.0", source="https://huggingface.co/facebook/wav2vec2-base"),
            paper="arXiv 2006.11477",
        )
    ),
    "large": SpeechPreset(
        source=Source(
            repo="facebook/wav2vec2-large-xlsr-53",
            licence=Licence(
                name="Apache-2.0", source="https://huggingface.co/facebook/wav2vec2-large-xlsr-53"
            ),
            paper="arXiv 2006.13979",
        )
    ),
    "tiny": SpeechPreset(source=random_source(TINY_CONFIG)),
}
FAMILY = SpeechFamily(name="wav2vec2", model_class="Wav2Vec2Model", presets=PRESETS)


class Wav2Vec2(SpeechEncoder):
    """wav2vec 2.0. See SpeechEncoder."""

    family = FAMILY
