"""data2vec-audio. Source: Baevski et al. 2022, arXiv 2202.03555.

Its positions come from a stack of convolutions with norms between them, through which padding reaches the
last frames of a shorter clip: only clips of one length share a batch.
"""

from __future__ import annotations

from emo.canonical import Json
from emo.extractors.hubert import TINY_CONFIG as TINY_HUBERT
from emo.extractors.random_weights import random_source
from emo.extractors.sources import Source
from emo.extractors.speech import SpeechEncoder, SpeechFamily, SpeechPreset
from emo.spec import Licence

TINY_CONFIG: dict[str, Json] = {
    **{key: value for key, value in TINY_HUBERT.items() if key != "do_stable_layer_norm"},
    "num_conv_pos_embeddings": 2,
    "conv_pos_kernel_size": 9,
}


def never(_: object) -> bool:
    """Clips of different length never share a batch."""
    return False


def _preset(size: str) -> SpeechPreset:
    repo = f"facebook/data2vec-audio-{size}"
    return SpeechPreset(
        source=Source(
            repo=repo,
            licence=Licence(name="Apache-2.0", source=f"https://huggingface.co/{repo}"),
            paper="arXiv 2202.03555",
        )
    )


PRESETS: dict[str, SpeechPreset] = {
    "base": _preset("base"),
    "large": _preset("large"),
    "tiny": SpeechPreset(source=random_source(TINY_CONFIG)),
}
FAMILY = SpeechFamily(name="data2vec-audio", model_class="Data2VecAudioModel", presets=PRESETS, may_pad=never)


class Data2VecAudio(SpeechEncoder):
    """data2vec-audio. See SpeechEncoder."""

    family = FAMILY
