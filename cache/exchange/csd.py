"""Import of CMU-MultimodalSDK computational sequences (.csd): `<sequence>/data/<video>/features, intervals`.

HDF5 files. A row is a word or a moment of a video and its interval says when. Rows of zeros are "nothing
seen" and are not stored, -inf is read as 0. Links and values in other files are refused at every component,
and compressed values must be no bomb. Source: https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK,
mmsdk/mmdatasdk. Knows no other format.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emo.cache.exchange.foreign import Foreign, Given, Refused, claimed_bytes, without_zero_rows
from emo.cache.exchange.h5_guard import open_h5, plain_dataset, plain_group
from emo.cache.exchange.incoming import Origin, Taken, take_in
from emo.cache.store import FeatureCache
from emo.canonical import Json
from emo.errors import ConfigError
from emo.spec import ArrayKind

if TYPE_CHECKING:
    import h5py

TOOL = "CMU-MultimodalSDK"
FRAMES: ArrayKind = "frames"
MOST_CHUNK = 256 << 20
MOST_RATIO = 100  # unpacked by packed bytes, of a dataset over a megabyte
SMALL = 1 << 20
PACKINGS = (1, 2, 3)  # deflate, shuffle, fletcher32: H5Z_FILTER_* of HDF5


def import_csd(cache: FeatureCache, file: Path, name: str = "", *, append: bool = False) -> Iterator[Taken]:
    """Store each sequence of the file, under its own name or `name` where there is one. See `take_in`."""
    with open_h5(file) as opened:
        sequences = list(opened)
        if name and len(sequences) != 1:
            raise ConfigError(f"--name is for one sequence; {file} has {', '.join(sequences)}.")
        for sequence in sequences:
            data = plain_group(plain_group(opened, sequence), "data")
            items = [Foreign(video, FRAMES, FRAMES, partial(_read, data, video)) for video in data]
            encoder = name or sequence.replace(" ", "_")
            yield from take_in(cache, encoder, Origin(TOOL, file.name, sequence), items, append=append)


def _read(data: h5py.Group, video: str) -> Given:
    try:
        folder = plain_group(data, video)
        features, intervals = _values(folder, "features"), _values(folder, "intervals")
    except (OSError, RuntimeError, UnicodeError) as error:
        raise Refused(f"{video} cannot be read: {error}") from error
    except ConfigError as error:
        raise Refused(str(error)) from error
    if features.ndim != 2 or intervals.shape != (len(features), 2):
        raise Refused(f"{video} has features {features.shape} and intervals {intervals.shape}")
    given = without_zero_rows(features.astype(features.dtype.newbyteorder("=")))
    kept: Any = given.notes.get("kept_rows")
    seconds = intervals[kept] if kept else intervals
    if not np.isfinite(seconds).all():
        raise Refused(f"{video} has intervals that are no numbers")
    times: dict[str, Json] = {"times": seconds[:, 0].tolist(), "ends": seconds[:, 1].tolist()}
    return Given(given.values, given.dtype, {**given.notes, **times})


def _values(folder: h5py.Group, name: str) -> NDArray[Any]:
    """A dataset of floats whose bytes lie in this file, unpacked where it is no bomb."""
    child = plain_dataset(folder, name)
    where = f"{folder.name}/{name}"
    settings = child.id.get_create_plist()
    claimed = claimed_bytes(child.dtype, child.shape or (), where)
    held = child.id.get_storage_size()
    filters = [settings.get_filter(number)[0] for number in range(settings.get_nfilters())]
    if not filters and claimed != held and not child.chunks:
        raise Refused(f"{where} claims {claimed} bytes and has {held}")
    if any(one not in PACKINGS for one in filters):
        raise Refused(f"{where} is packed by the filters {filters}, which are refused")
    if child.chunks and prod(child.chunks) * child.dtype.itemsize > MOST_CHUNK:
        raise Refused(f"{where} has chunks of {child.chunks}; at most {MOST_CHUNK} bytes are unpacked")
    if claimed > SMALL and claimed > MOST_RATIO * held:
        raise Refused(f"{where} unpacks {held} bytes to {claimed}, which is refused")
    return np.asarray(child[()])
