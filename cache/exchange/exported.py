"""Export as a tree of .npy files (MERTools layout) or as safetensors, and the way back without loss.

npy: `<encoder>-UTT/<clip>.npy` for utterances, `-FRA` for frames and tokens, clip ids percent-encoded.
safetensors: parts of at most 256 MiB whose tensors are `<array>/<clip id>`. bfloat16 goes out as float32 in
npy, which loses nothing. Knows nothing of how a cache lies on disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.cache.exchange.foreign import Given, array_digest
from emo.cache.exchange.incoming import Taken
from emo.cache.exchange.names import file_names
from emo.cache.exchange.npy import read_npy
from emo.cache.exchange.outgoing import (
    NOTES,
    current_infos,
    file_stem,
    new_folder,
    note,
    notes_file,
    place_of,
    read_notes,
)
from emo.cache.exchange.safetensors_files import open_safetensors, write_safetensors
from emo.cache.feature import RecordInfo
from emo.cache.space import Space
from emo.cache.store import FeatureCache
from emo.canonical import canonical_json
from emo.errors import ConfigError
from emo.records import RETRACTED, Array, Record
from emo.spec import FeatureSpec

PART_BYTES = 256 << 20
PART_TENSORS = 20_000
LEVELS = {"utterance": "UTT", "frames": "FRA", "tokens": "FRA"}


def export_npy(spaces: Sequence[Space], out: Path) -> Iterator[str]:
    """Write every current record to the new folder `out`; yields `<space> <clip id>` for each."""
    with new_folder(out) as folder:
        for space in spaces:
            infos = current_infos(space)
            names = file_names(info.clip_id for info in infos)
            folders = _folders(space, spaces)
            for name in folders.values():
                (folder / name).mkdir()
            with notes_file(folder, space) as notes:
                for info in infos:
                    places = {}
                    for array in info.arrays:
                        values = space.read(info.clip_id, array)
                        file = f"{folders[array]}/{names[info.clip_id]}.npy"
                        np.save(folder / file, values, allow_pickle=False)
                        places[array] = place_of(file, values)
                    note(notes, space, info, places)
                    yield f"{space.name} {info.clip_id}"


def _folders(space: Space, spaces: Sequence[Space]) -> dict[str, str]:
    """The folder of each array: more than `<encoder>-<level>` only where two would share that name."""
    encoders = Counter(one.spec.encoder for one in spaces)
    stem = space.spec.encoder if encoders[space.spec.encoder] == 1 else file_stem(space)
    levels = {array: LEVELS[layout.kind] for array, layout in space.spec.arrays.items()}
    shared = Counter(levels.values())
    return {
        array: f"{stem}-{level}" if shared[level] == 1 else f"{stem}.{array}-{level}"
        for array, level in levels.items()
    }


def export_safetensors(spaces: Sequence[Space], out: Path) -> Iterator[str]:
    """Write every current record to the new folder `out`; yields `<space> <clip id>` for each."""
    with new_folder(out) as folder:
        for space in spaces:
            with notes_file(folder, space) as notes:
                part = _Part(folder, space)
                for info in current_infos(space):
                    note(notes, space, info, part.add(info))
                    yield f"{space.name} {info.clip_id}"
                part.write()


class _Part:
    """Tensors that go into one file; full ones are written when the next clip comes."""

    def __init__(self, folder: Path, space: Space) -> None:
        self._folder, self._space = folder, space
        self._number, self._bytes = 0, 0
        self._tensors: dict[str, NDArray[Any]] = {}

    def add(self, info: RecordInfo) -> dict[str, dict[str, str]]:
        if self._bytes >= PART_BYTES or len(self._tensors) >= PART_TENSORS:
            self.write()
        places = {}
        for array in info.arrays:
            values = self._space.read(info.clip_id, array)
            geometry = self._space.geometry(array)
            stored = values if geometry.scaled else geometry.narrowed(values)  # safetensors has no such int8
            name = f"{array}/{info.clip_id}"
            self._tensors[name] = stored
            self._bytes += stored.nbytes
            places[array] = place_of(self._file, values, tensor=name)
        return places

    @property
    def _file(self) -> str:
        return f"{file_stem(self._space)}-{self._number:05d}.safetensors"

    def write(self) -> None:
        if self._tensors:
            spec = canonical_json(self._space.spec.to_json()).decode()
            write_safetensors(self._folder / self._file, self._tensors, {"emo:spec": spec})
            self._number, self._bytes, self._tensors = self._number + 1, 0, {}


def restore(cache: FeatureCache, root: Path) -> Iterator[Taken]:
    """Store what the cache lacks of a folder that `export_npy` or `export_safetensors` wrote.

    Specs, statuses, notes and digests come back as they were. A clip that was forgotten stays so. ConfigError
    names a value that is not what was written.
    """
    root = root.resolve()
    found = sorted(root.glob(f"*{NOTES}"))
    if not found:
        raise ConfigError(f"{root} was not written by emo cache export npy or safetensors.")
    for path in found:
        head, lines = read_notes(path)
        try:
            spec = FeatureSpec.from_json(head["spec"])
            records = [_Line(**line) for line in lines]
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path} holds no notes of an export ({error!r}).") from error
        if spec not in cache:
            cache.unite(())  # an export does not say what data it is of
        yield from _restore_space(cache.create(spec), root, records)


@dataclass(frozen=True, slots=True)
class _Line:
    """A clip's line in the notes."""

    clip_id: str
    status: str
    reason: str
    input_sha256: str
    meta: dict[str, Any]
    arrays: dict[str, dict[str, str]]


def _restore_space(space: Space, root: Path, records: Sequence[_Line]) -> Iterator[Taken]:
    files = _Files(root)
    with space.writer() as writer:
        for line in records:
            held = space.info(line.clip_id)
            same = held is not None and (held.status, held.input_sha256.hex(), sorted(held.arrays)) == (
                line.status,
                line.input_sha256,
                sorted(line.arrays),
            )
            if held is not None and (same or held.status == RETRACTED):
                yield Taken(space.name, line.clip_id, held.status, stored=False)
                continue
            kept = writer.put(
                Record(
                    clip_id=line.clip_id,
                    arrays={array: files.read(place) for array, place in line.arrays.items()},
                    status=line.status,
                    reason=line.reason,
                    input_sha256=bytes.fromhex(line.input_sha256),
                    meta=line.meta,
                )
            )
            yield Taken(space.name, line.clip_id, kept.status, stored=True)


class _Files:
    """The files of an export, none outside of its folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path: Path | None = None

    def read(self, place: dict[str, str]) -> Array:
        try:
            path = (self._root / place["file"]).resolve()
            expected, tensor = place["sha256"], place.get("tensor")
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{self._root}: its notes name no file in {place!r:.200}") from error
        if not path.is_relative_to(self._root):
            raise ConfigError(f"{path} lies outside of {self._root}, which is refused.")
        values = read_npy(path) if tensor is None else self._tensor(path, tensor).values
        if array_digest(values) != expected:
            raise ConfigError(f"{path} is not what was exported: {tensor or 'its values'} changed.")
        return values

    def _tensor(self, path: Path, name: str) -> Given:
        if path != self._path:
            self._path, self._tensors = path, open_safetensors(path)
        if name not in self._tensors:
            raise ConfigError(f"{path} has no tensor {name!r}.")
        return self._tensors[name].read()
