"""The canary of a space: the encoder's output on one fixed clip, kept to notice a changed environment.

Says how far two outputs may differ. Does not know the clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from crc32c import crc32c

from emo.cache import fsops
from emo.cache.columns import Digest
from emo.cache.damage import DamagedFile
from emo.cache.format import Document, canary_array, group, stamped
from emo.cache.paths import METADATA, SpacePaths
from emo.cache.publish import publish_lock
from emo.cache.state import SpaceState, load_state, write_state
from emo.errors import ConfigError
from emo.records import Array, why_unusable

FOLDER = "canary"
LARGEST_ERROR = 1e-2  # max|a - b| / max|a|
LEAST_COSINE = 0.9999


def difference(expected: Array, found: Array) -> tuple[float, float]:
    """Largest error over the largest value, and the cosine of the two as vectors."""
    a, b = expected.astype(np.float64).ravel(), found.astype(np.float64).ravel()
    if a.shape != b.shape:
        return np.inf, 0.0
    error = np.abs(a - b).max() / np.abs(a).max()
    return float(error), float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def write_canary(paths: SpacePaths, arrays: Mapping[str, Array]) -> None:
    """Store `arrays` as float32 unless the space has a canary; ConfigError where they are no features."""
    values = {name: np.ascontiguousarray(array, dtype="<f4") for name, array in arrays.items()}
    for name, array in values.items():
        if why := why_unusable(array):
            raise ConfigError(f"the canary's {name} of {paths.name} is {why}: the encoder is broken here")
    with publish_lock(paths):
        state = load_state(paths)
        if FOLDER in state.members:
            return
        members: dict[str, Document] = {FOLDER: group({}, {})}
        digests = {}
        for name, array in values.items():
            key = f"{FOLDER}/{name}"
            members[key] = canary_array(name, array.shape, "float32")
            digests[key] = Digest(len(array), crc32c(array.tobytes()))
            _write_chunk(paths, key, array)
        for key, member in members.items():
            own = {name: value for name, value in member.items() if name != "consolidated_metadata"}
            fsops.make_folder(paths.folder / key)
            scratch = paths.scratch("canary")
            fsops.replace_file(paths.folder / key / METADATA, stamped(own), scratch, durable=True)
            fsops.sync_folder(paths.folder / key)
        fsops.sync_folder(paths.folder)
        state = replace(state, members={**state.members, **members}, digests={**state.digests, **digests})
        write_state(paths, state, durable=True)


def _write_chunk(paths: SpacePaths, key: str, array: Array) -> None:
    path = paths.chunk(key, (0,) * array.ndim)
    fsops.make_folder(path.parent)
    body = array.tobytes()
    data = body + crc32c(body).to_bytes(4, "little")
    fsops.replace_file(path, data, paths.scratch("canary"), durable=True)
    for folder in list(path.parents)[: array.ndim + 1]:
        fsops.sync_folder(folder)


def read_canary(paths: SpacePaths, state: SpaceState) -> dict[str, Array] | None:
    """The canary's arrays by name, None where there is none; DamagedCache where they are not as written."""
    if FOLDER not in state.members:
        return None
    names = [name for name in state.members if name.startswith(f"{FOLDER}/")]
    return {name.removeprefix(f"{FOLDER}/"): _read_array(paths, state, name) for name in names}


def _read_array(paths: SpacePaths, state: SpaceState, key: str) -> Array:
    shape = state.members[key]["shape"]
    path = paths.chunk(key, (0,) * len(shape))
    try:
        data = fsops.read_file(path)
    except FileNotFoundError:
        raise DamagedFile(path, "missing. Restore it from a copy.") from None
    body, crc = data[:-4], data[-4:]
    if crc != crc32c(body).to_bytes(4, "little") or crc32c(body) != state.digests[key].crc:
        raise DamagedFile(path, "the canary does not match its checksum. Restore it from a copy.")
    return np.frombuffer(body, "<f4").reshape(shape)
