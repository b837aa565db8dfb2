"""A space as xarray: values with the clip, the row's time and the recipe beside them.

Needs xarray, imported when first asked for. Knows nothing of how a cache lies on disk.

Axes: B clips, T feature frames of all clips one after the other, N tokens, D feature dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emo.cache.space import Space
from emo.canonical import canonical_json
from emo.errors import ConfigError, MissingDependency
from emo.records import usable

if TYPE_CHECKING:
    import xarray as xr


def to_xarray(space: Space, array: str, ids: Sequence[str] | None = None) -> xr.DataArray:
    """One array of some clips, or of all that have it, read into memory.

    utterance: (clip, channel). tokens: (clip, token, channel). frames: (row, channel), the rows of one clip
    after those of another. Coordinates: `clip_id`, and of frames `time`, in seconds, NaN where the encoder
    noted none. Attributes: encoder, fingerprint, preset, recipe as JSON.

    CacheMiss where a clip lacks the array, ConfigError where the space does, MissingDependency where xarray
    is not installed.

    >>> emo.to_xarray(emo.open("features.zarr")["hubert"], "utterance").sizes["clip"]
    8
    """
    try:
        import xarray as xr
    except ImportError as error:
        raise MissingDependency("this view needs xarray. Run: pip install 'emo-toolkit[exchange]'") from error
    layout = space.spec.arrays.get(array)
    if layout is None:
        raise ConfigError(f"{space.name} has {', '.join(space.spec.arrays)}, not {array!r}.")
    chosen = _having(space, array) if ids is None else list(ids)
    attributes = {
        "encoder": space.spec.encoder,
        "fingerprint": space.spec.fingerprint,
        "preset": space.spec.preset,
        "recipe": canonical_json(dict(space.spec.recipe)).decode(),
    }
    if layout.kind != "frames":
        dims = ("clip", "channel") if layout.kind == "utterance" else ("clip", "token", "channel")
        return xr.DataArray(
            space.stack(chosen, array),
            dims=dims,
            coords={"clip_id": ("clip", chosen)},
            name=array,
            attrs=attributes,
        )
    values = space.read_many(chosen, array)
    clips = [clip_id for clip_id, rows in zip(chosen, values, strict=True) for _ in rows]
    times = [_times(space, clip_id, len(rows)) for clip_id, rows in zip(chosen, values, strict=True)]
    coords = {"clip_id": ("row", clips), "time": ("row", np.concatenate(times))}
    return xr.DataArray(
        np.concatenate(values), dims=("row", "channel"), coords=coords, name=array, attrs=attributes
    )


def _having(space: Space, array: str) -> list[str]:
    infos = space.infos()
    return [clip_id for clip_id, info in infos.items() if usable(info.status) and array in info.rows]


def _times(space: Space, clip_id: str, rows: int) -> NDArray[np.float64]:
    times = space[clip_id].times
    return np.full(rows, np.nan) if times is None else times
