"""What every export shares: which spaces, in a folder that appears whole, with notes that bring all back.

Beside the values lies a file of JSON lines a space: the spec, then for each clip its status, its notes, and
in which file its arrays lie, with their SHA-256. `restore` needs no more. Knows no format of values.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from emo.cache.exchange.foreign import array_digest
from emo.cache.feature import RecordInfo
from emo.cache.space import Space
from emo.cache.store import FeatureCache
from emo.canonical import canonical_json
from emo.errors import ConfigError
from emo.records import RETRACTED, Array

NOTES = ".jsonl"
FORMAT = 1


def chosen_spaces(cache: FeatureCache, names: Sequence[str] = ()) -> list[Space]:
    """The spaces named, or all; ConfigError where the cache has none."""
    spaces = [cache.space(name) for name in names] or cache.spaces()
    if not spaces:
        raise ConfigError(f"{cache.path} holds no features to export. Run: emo extract")
    return spaces


def current_infos(space: Space) -> list[RecordInfo]:
    """What is known of every clip that was not forgotten."""
    return [info for info in space.infos().values() if info.status != RETRACTED]


def file_stem(space: Space) -> str:
    """`<encoder>.<short fingerprint>`: the space's name where a slash cannot stand."""
    return space.name.replace("/", ".")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill; it becomes `out` when all is written, and is removed where that failed.

    FileExistsError where `out` is there.
    """
    if out.exists():
        raise FileExistsError(f"{out} exists")
    scratch = out.with_name(out.name + ".part")
    scratch.mkdir(parents=True)
    try:
        yield scratch
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def notes_file(folder: Path, space: Space) -> Iterator[IO[bytes]]:
    """The notes of a space, begun with its spec."""
    with (folder / (file_stem(space) + NOTES)).open("xb") as stream:
        stream.write(canonical_json({"emo:export": FORMAT, "spec": space.spec.to_json()}) + b"\n")
        yield stream


def note(stream: IO[bytes], space: Space, info: RecordInfo, places: Mapping[str, Mapping[str, str]]) -> None:
    """One clip's line; `places` says by array where its values lie."""
    line = {
        "clip_id": info.clip_id,
        "status": info.status,
        "reason": info.reason,
        "input_sha256": info.input_sha256.hex(),
        "meta": space.meta(info.clip_id),
        "arrays": {array: dict(place) for array, place in places.items()},
    }
    stream.write(canonical_json(line) + b"\n")


def place_of(file: str, values: Array, **more: str) -> dict[str, str]:
    """Where values lie, with their digest."""
    return {"file": file, "sha256": array_digest(values), **more}


def read_notes(path: Path) -> tuple[dict[str, Any], Iterable[dict[str, Any]]]:
    """The spec's line and the clips' lines of a notes file; ConfigError where it is none."""
    with path.open("rb") as stream:
        lines = [json.loads(line) for line in stream]
    if not lines or not isinstance(lines[0], dict) or lines[0].get("emo:export") != FORMAT:
        raise ConfigError(f"{path} holds no notes of an export in format {FORMAT}.")
    return lines[0], lines[1:]
