"""HuBERT: sound to frame-level (T, D) and utterance-level (D,) features.

Source: Hsu et al. 2021, arXiv 2106.07447. The `paper` preset is Emotion-LLaMA's audio encoder (arXiv
2406.11161): chinese-hubert-large, last layer, mean over time. Knows weights; how they run is `speech`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emo.canonical import Json
from emo.extractors.sources import TINY, Source
from emo.extractors.speech import SpeechEncoder, SpeechFamily, SpeechPreset, fresh
from emo.spec import Licence

if TYPE_CHECKING:
    from torch import nn

# The class of `paper` (layer norms, stable), small: 4 heads over 3 layers, and three convolutions of long
# stride (50 frames a second, as in the original) in the place of seven, which cost most of the time.
TINY_CONFIG: dict[str, Json] = {
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 192,
    "conv_dim": [64, 64, 64],
    "conv_stride": [20, 8, 2],
    "conv_kernel": [40, 8, 4],
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 4,
    "mask_time_prob": 0.0,
    "layerdrop": 0.0,
    "vocab_size": 32,
}

PRESETS: dict[str, SpeechPreset] = {
    "paper": SpeechPreset(
        source=Source(
            repo="TencentGameMate/chinese-hubert-large",
            licence=Licence(name="MIT", source="https://huggingface.co/TencentGameMate/chinese-hubert-large"),
            paper="arXiv 2406.11161 (audio encoder of Emotion-LLaMA)",
        )
    ),
    "base": SpeechPreset(
        source=Source(
            repo="TencentGameMate/chinese-hubert-base",
            revision="9c04217413493a0d4aa884feafd3175f9867ef6b",
            licence=Licence(name="MIT", source="https://huggingface.co/TencentGameMate/chinese-hubert-base"),
            paper="arXiv 2106.07447",
        )
    ),
    "tiny": SpeechPreset(source=TINY, normalise=False),  # level is a cue it was trained on
}
FAMILY = SpeechFamily(name="hubert", model_class="HubertModel", presets=PRESETS)


def build_tiny() -> nn.Module:
    """The tiny preset's HubertModel with fresh weights."""
    return fresh(FAMILY, TINY_CONFIG)


class Hubert(SpeechEncoder):
    """HuBERT. See SpeechEncoder."""

    family = FAMILY
