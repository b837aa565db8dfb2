"""DINOv2 on faces: the class token behind the last norm. Source: Oquab et al. 2023, arXiv 2304.07193.

Positions are resampled from the 518 pixels of training by the model itself. Knows weights; how they run is
`stills`.
"""

from __future__ import annotations

from emo.canonical import Json
from emo.extractors.clip import FACES, TINY_FACES
from emo.extractors.random_weights import random_source
from emo.extractors.sources import Source
from emo.extractors.stills import StillEncoder, StillPreset
from emo.extractors.transformer_stills import family
from emo.spec import Licence

TINY_CONFIG: dict[str, Json] = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "mlp_ratio": 2,
    "image_size": 96,
    "patch_size": 48,
}


def _preset(size: str) -> StillPreset:
    repo = f"facebook/dinov2-{size}"
    return StillPreset(
        source=Source(
            repo=repo,
            licence=Licence(name="Apache-2.0", source=f"https://huggingface.co/{repo}"),
            paper="arXiv 2304.07193",
        ),
        faces=FACES,
    )


PRESETS: dict[str, StillPreset] = {
    "base": _preset("base"),
    "large": _preset("large"),
    "tiny": StillPreset(source=random_source(TINY_CONFIG), faces=TINY_FACES),
}


class Dinov2(StillEncoder):
    """DINOv2. See StillEncoder."""

    family = family("dinov2", "dinov2", PRESETS)
