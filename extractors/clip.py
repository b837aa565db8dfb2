"""CLIP's vision tower on faces. Source: Radford et al. 2021, arXiv 2103.00020.

The class token behind the last norm; `clip@projected` gives it in the space shared with text, as MERTools'
`clip-vit-large-patch14` features are. Knows weights; how they run is `stills`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from emo.canonical import Json
from emo.extractors import stills
from emo.extractors.pixels import CLIP_MEAN, CLIP_STD
from emo.extractors.random_weights import random_source
from emo.extractors.sources import Source
from emo.extractors.stills import StillEncoder, StillPreset
from emo.extractors.transformer_stills import family
from emo.spec import Licence
from emo.views import FacesView

TINY_CONFIG: dict[str, Json] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "projection_dim": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 96,
    "patch_size": 48,
}
TINY_FACES = FacesView(sampling="uniform:16", size=96, box="median", margin=0.1, detect=4)
FACES = FacesView(sampling="uniform:16", size=224, box="tracked", margin=0.1, detect=4)


def _preset(repo: str) -> StillPreset:
    return StillPreset(
        source=Source(
            repo=repo,
            licence=Licence(name="MIT", source="https://github.com/openai/CLIP/blob/main/LICENSE"),
            paper="arXiv 2103.00020",
        ),
        faces=FACES,
        mean=CLIP_MEAN,
        std=CLIP_STD,
    )


PRESETS: dict[str, StillPreset] = {
    "base": _preset("openai/clip-vit-base-patch32"),
    "large": _preset("openai/clip-vit-large-patch14"),
    "tiny": StillPreset(source=random_source(TINY_CONFIG), faces=TINY_FACES, mean=CLIP_MEAN, std=CLIP_STD),
}


class Clip(StillEncoder):
    """CLIP. See StillEncoder."""

    family = family("clip", "clip", PRESETS)
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **stills.VARIANTS,
        "projected": {"pooling": "projected"},
    }
