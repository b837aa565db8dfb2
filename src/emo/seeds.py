"""Random generators by name: the same key gives the same draws on every machine, in every order.

Knows nothing of what is drawn.
"""

from __future__ import annotations

import hashlib

import numpy as np

from emo.canonical import canonical_json


def generator(*key: str | int) -> np.random.Generator:
    """A generator of its own for `key`, for example ("corpus", seed, "clip", number)."""
    digest = hashlib.sha256(canonical_json(list(key))).digest()
    words = [int.from_bytes(digest[at : at + 4], "big") for at in range(0, len(digest), 4)]
    return np.random.default_rng(np.random.SeedSequence(words))
