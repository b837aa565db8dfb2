"""Export to HDF5 and import from it: `/<encoder>/<fingerprint>/<array>/<percent-encoded clip id>`.

One dataset for each clip and array, the spec as a JSON attribute of the fingerprint's group, and what is
known of every clip in its `records` dataset. An imported file is not trusted: only what lies inside it, as
plain uncompressed data of the size it claims, is read. Knows nothing of how a cache lies on disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.cache.exchange.h5_guard import open_h5, plain_dataset, plain_group
from emo.cache.exchange.names import stored_name
from emo.cache.feature import RecordInfo
from emo.cache.format import dtype_note
from emo.cache.space import Space
from emo.cache.store import FeatureCache
from emo.canonical import Json, canonical_json
from emo.errors import ConfigError
from emo.records import RETRACTED, Array, Record
from emo.spec import FeatureSpec

if TYPE_CHECKING:
    import h5py

RECORDS = "records"


def export_h5(cache: FeatureCache, path: str | os.PathLike[str]) -> Iterator[str]:
    """Write every current record to a new HDF5 file; yields `<space> <clip id>` as each is written.

    FileExistsError where the file is there; a file that was not finished is removed. bfloat16 is stored
    as uint16 with the attribute `emo:dtype`.
    """
    import h5py

    target = Path(path)
    scratch = target.with_name(target.name + ".part")
    try:
        with h5py.File(scratch, "w") as file:
            for space in cache.spaces():
                yield from _export_space(file.create_group(space.name), space)
        os.link(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)


def _export_space(group: h5py.Group, space: Space) -> Iterator[str]:
    group.attrs["spec"] = canonical_json(space.spec.to_json()).decode()
    infos = {clip_id: info for clip_id, info in space.infos().items() if info.status != RETRACTED}
    lines = [canonical_json(_record_line(space, info)) + b"\n" for info in infos.values()]
    group.create_dataset(RECORDS, data=np.frombuffer(b"".join(lines), np.uint8))
    folders = {array: group.create_group(array) for array in space.spec.arrays}
    for array, folder in folders.items():
        folder.attrs.update(dtype_note(space.spec.arrays[array].dtype))
    for clip_id, info in infos.items():
        for array in info.arrays:
            geometry = space.geometry(array)
            folders[array].create_dataset(
                stored_name(clip_id), data=geometry.narrowed(space.read(clip_id, array))
            )
        yield f"{space.name} {clip_id}"


def _record_line(space: Space, info: RecordInfo) -> dict[str, Any]:
    return {
        "clip_id": info.clip_id,
        "status": info.status,
        "reason": info.reason,
        "input_sha256": info.input_sha256.hex(),
        "arrays": list(info.arrays),
        "meta": space.meta(info.clip_id),
    }


def import_h5(cache: FeatureCache, path: str | os.PathLike[str]) -> Iterator[str]:
    """Store the records of an exported file that the cache lacks; yields `<space> <clip id>` for each.

    ConfigError names what is not as `export_h5` writes it: an external or soft link at any component of a
    path, external or virtual storage, filters, a dataset smaller than its shape claims.
    """
    with open_h5(path) as file:
        for encoder in file:
            for short in plain_group(file, encoder):
                yield from _import_space(
                    cache, plain_group(plain_group(file, encoder), short), f"{encoder}/{short}"
                )


def _import_space(cache: FeatureCache, group: h5py.Group, name: str) -> Iterator[str]:
    try:
        spec = FeatureSpec.from_json(json.loads(group.attrs["spec"]))
        lines = [json.loads(line) for line in _dataset(group, RECORDS)[:].tobytes().splitlines()]
        records = [_Line(**line) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{group.file.filename}: {name} is no exported space ({error!r})") from error
    if f"{spec.encoder}/{spec.short}" != name:
        raise ConfigError(f"{group.file.filename}: {name} holds the spec of {spec.encoder}/{spec.short}")
    if spec not in cache:
        cache.unite(())  # an export does not say what data it is of
    space = cache.create(spec)
    with space.writer() as writer:
        for record in records:
            if _stored(space, record):
                continue
            arrays = {array: _values(group, array, record.clip_id, space) for array in record.arrays}
            writer.put(
                Record(
                    clip_id=record.clip_id,
                    arrays=arrays,
                    status=record.status,
                    reason=record.reason,
                    input_sha256=bytes.fromhex(record.input_sha256),
                    meta=record.meta,
                )
            )
            yield f"{name} {record.clip_id}"


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of `records`."""

    clip_id: str
    status: str
    reason: str
    input_sha256: str
    arrays: list[str]
    meta: dict[str, Json]


def _stored(space: Space, line: _Line) -> bool:
    info = space.info(line.clip_id)
    return info is not None and (info.status, list(info.arrays), info.input_sha256.hex()) == (
        line.status,
        line.arrays,
        line.input_sha256,
    )


def _values(group: h5py.Group, array: str, clip_id: str, space: Space) -> Array:
    if array not in space.spec.arrays:
        raise ConfigError(f"{group.file.filename}: the spec of {space.name} has no array {array!r}")
    geometry = space.geometry(array)
    stored = _dataset(plain_group(group, array), stored_name(clip_id))
    if stored.dtype != geometry.dtype:
        raise ConfigError(f"{stored.file.filename}:{stored.name} is {stored.dtype}, not {geometry.dtype}")
    return geometry.widened(stored[()])


def _dataset(parent: h5py.Group, name: str) -> h5py.Dataset:
    """A dataset whose bytes lie in this file, all of them, as they are."""
    import h5py

    child = plain_dataset(parent, name)
    where = f"{parent.file.filename}:{parent.name}/{name}"
    settings = child.id.get_create_plist()
    if settings.get_layout() != h5py.h5d.CONTIGUOUS or settings.get_nfilters():
        raise ConfigError(f"{where} is chunked or filtered; a feature is stored contiguous and as it is")
    if child.id.get_storage_size() != child.nbytes:
        raise ConfigError(f"{where} claims {child.nbytes} bytes and has {child.id.get_storage_size()}")
    return child
