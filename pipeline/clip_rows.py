"""One row of numbers a clip: an array of a feature space, averaged over frames or tokens.

Axes: N clips, D feature dim.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emo.cache import Space
from emo.errors import ConfigError


def clip_rows(space: Space, ids: Sequence[str], array: str) -> NDArray[np.float64]:
    """One row a clip (N, D): the array, averaged over frames or tokens; (0, 1) of no clips.

    ConfigError where the space has no such array.
    """
    if array not in space.spec.arrays:
        raise ConfigError(f"{space.name} has {', '.join(space.spec.arrays)}, not {array!r}.")
    values = [np.asarray(each, np.float64) for each in space.read_many(ids, array)]
    if not values:
        return np.zeros((0, 1))
    return np.stack([each if each.ndim == 1 else each.mean(axis=0) for each in values])
