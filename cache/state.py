"""SpaceState: one snapshot of a space, which is what its zarr.json says.

Replacing that file by rename is the commit: every shape, digest and journal mark changes at once. Knows
nothing of records' values and does not decide when to commit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import emo
from emo.cache import fsops
from emo.cache.columns import Column, Digest, index_columns
from emo.cache.damage import DamagedFile, SnapshotGone
from emo.cache.format import FORMAT, OWN_CRC, Document, checked, data_array, group, stamped
from emo.cache.geometry import Geometry
from emo.cache.journal import Mark
from emo.cache.paths import METADATA, SpacePaths
from emo.spec import FeatureSpec

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*")
RECORD_CRC = "crc32c of the record's rows as stored: little-endian, C order"


@dataclass(frozen=True, slots=True)
class SpaceState:
    """A published state. `members` is the metadata of every array and group below the space's group.

    `generation` counts how often the space was compacted: rows keep their numbers within one generation.
    """

    spec: FeatureSpec
    members: Mapping[str, Document]
    digests: Mapping[str, Digest] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    generation: int = 0

    @property
    def columns(self) -> list[Column]:
        """The index arrays."""
        return index_columns(list(self.spec.arrays))

    def geometry(self, array: str) -> Geometry:
        """Geometry of one data array."""
        return Geometry.of_metadata(self.members[array])

    def document(self) -> Document:
        """The zarr.json of the space."""
        attributes = {
            "emo:format": FORMAT,
            "emo:generation": self.generation,
            "emo:fingerprint": self.spec.fingerprint,
            "emo:spec": self.spec.to_json(),
            "emo:record_crc": RECORD_CRC,
            "emo:index": {
                name: {"length": digest.length, "crc32c": digest.crc} for name, digest in self.digests.items()
            },
            "emo:journals": {
                name: {"bytes": mark.bytes, "lines": mark.lines} for name, mark in self.marks.items()
            },
            "created_by": created_by(),
        }
        return group(attributes, self.members)


def created_by() -> str:
    """Name and version of the program that writes."""
    return f"emo-toolkit {emo.__version__}"


def new_state(spec: FeatureSpec, shard_bytes: int) -> SpaceState:
    """The state of a space without records."""
    members: dict[str, Document] = {}
    for name, layout in spec.arrays.items():
        shape = Geometry.of_layout(layout, shard_bytes)
        members[name] = data_array(
            name, layout.kind, layout.dtype, shape.row_shape, shape.chunk_rows, shape.shard_rows
        )
    columns = index_columns(list(spec.arrays))
    members |= {column.name: column.metadata for column in columns}
    return SpaceState(spec, members, {column.name: Digest() for column in columns})


def load_state(paths: SpacePaths) -> SpaceState:
    """The published state; DamagedCache where the file is missing, changed or of another space."""
    return parse_state(read_metadata(paths.metadata), paths)


def read_metadata(path: Path) -> Document:
    """A zarr.json that is exactly what was written; DamagedCache where it is not or is missing."""
    try:
        data = fsops.read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedFile(path, "missing. Restore it from a copy.") from None
    return checked(data, path)


def check_generation(paths: SpacePaths, state: SpaceState) -> None:
    """SnapshotGone where the space was compacted since this snapshot."""
    if load_state(paths).generation != state.generation:
        raise SnapshotGone(paths.name)


def parse_state(document: Document, paths: SpacePaths) -> SpaceState:
    """The state in a checked zarr.json."""
    attributes: Mapping[str, Any] = document["attributes"]
    try:
        spec = FeatureSpec.from_json(attributes["emo:spec"])
        state = SpaceState(
            spec,
            document["consolidated_metadata"]["metadata"],
            {name: Digest(d["length"], d["crc32c"]) for name, d in attributes["emo:index"].items()},
            {name: Mark(m["bytes"], m["lines"]) for name, m in attributes["emo:journals"].items()},
            int(attributes.get("emo:generation", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedFile(paths.metadata, f"no space of a feature cache ({error!r}).") from error
    _check_declared(paths, state)
    if (spec.encoder, spec.short) != (paths.encoder, paths.short):
        raise DamagedFile(
            paths.metadata,
            f"it describes {spec.encoder}/{spec.short}: a folder was renamed or swapped. Name it back.",
        )
    return state


def _check_declared(paths: SpacePaths, state: SpaceState) -> None:
    """Refuse what no writer of the format declares: names that leave the folder, shards beyond all bounds.

    A checksum says that a file is as it was written, not who wrote it.
    """
    names = {part for name in [*state.spec.arrays, *state.members] for part in name.split("/")}
    try:
        for array in state.spec.arrays:
            state.geometry(array)
        missing = {column.name for column in state.columns} - (state.digests.keys() & state.members.keys())
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DamagedFile(paths.metadata, f"an array is declared as no writer does ({error!r}).") from error
    if missing or not all(NAME.fullmatch(name) for name in names):
        raise DamagedFile(paths.metadata, "names of arrays are missing or cannot stand in the format.")


def check_members(paths: SpacePaths, state: SpaceState) -> None:
    """`check_member` of every array and group below the space's group."""
    for name in state.members:
        check_member(paths, state, name)


def check_member(paths: SpacePaths, state: SpaceState, name: str) -> None:
    """DamagedCache where an array's own zarr.json is missing, changed, or is not the one of the snapshot.

    Its shape may be larger: arrays grow before the snapshot that says so.
    """
    path, member = paths.folder / name / METADATA, state.members[name]
    own = read_metadata(path)
    if _frozen(own) != _frozen(member) or own.get("shape", [0])[0] < member.get("shape", [0])[0]:
        raise DamagedFile(path, f"not the metadata of {name} in {paths.name}. Restore it from a copy.")


def _frozen(document: Document) -> Document:
    attributes = {name: value for name, value in document["attributes"].items() if name != OWN_CRC}
    shape = document.get("shape", [])
    return {**document, "attributes": attributes, "shape": shape[1:], "consolidated_metadata": None}


def write_state(paths: SpacePaths, state: SpaceState, *, durable: bool) -> None:
    """Commit: replace the space's zarr.json. Everything that it refers to is on the disk already."""
    data = stamped(state.document())
    fsops.replace_file(paths.metadata, data, paths.scratch("space"), durable=durable)
    if durable:
        fsops.sync_folder(paths.folder)


def grown(state: SpaceState, lengths: Mapping[str, int]) -> SpaceState:
    """The state whose arrays are at least this long on their first axis."""
    members = dict(state.members)
    for name, length in lengths.items():
        shape = members[name]["shape"]
        members[name] = {**members[name], "shape": [max(length, shape[0]), *shape[1:]]}
    return replace(state, members=members)
