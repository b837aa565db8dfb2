"""Random weights for the `tiny` preset of encoders whose tiny form nobody trained: they check the road, and
nothing was learned. Values come from the tensors' names: the same whatever library made the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from emo.canonical import Json, sha256_json
from emo.extractors.sources import Source
from emo.spec import Licence

if TYPE_CHECKING:
    from torch import nn

SEED = 0
VERSION = 1  # of the rule below


def random_source(config: Mapping[str, Json]) -> Source:
    """The source of a tiny preset with random weights: a model of this `config`."""
    return Source(
        licence=Licence(name="MIT", source="random weights, nothing learned: emo.extractors.random_weights"),
        note="The tiny preset of this encoder is random weights made by emo; there is nothing to fetch.",
        random=config,
    )


def random_digest(encoder: str, config: Mapping[str, Json]) -> str:
    """What stands for the digest of weights that are in no file."""
    return sha256_json({"random": VERSION, "seed": SEED, "encoder": encoder, "config": dict(config)})


def fill(model: nn.Module) -> nn.Module:
    """`model` with every parameter drawn anew: norms near one, biases near zero, matrices at the scale of
    1 / sqrt(inputs)."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            generator = np.random.default_rng([SEED, crc32(name.encode())])
            values = generator.standard_normal(tuple(parameter.shape)).astype(np.float32)
            inputs = math.prod(parameter.shape[1:])
            if parameter.ndim > 1:
                values /= math.sqrt(inputs)
            else:
                values = 0.1 * values + (1.0 if name.endswith("weight") else 0.0)
            parameter.copy_(torch.from_numpy(values))
    return model.eval()
