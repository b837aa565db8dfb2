"""Saved states on disk: folders that appear whole or not at all. The last few are kept.

    state/step-00000200/            weights, optimiser, best .safetensors; state.json; SHA256SUMS
    state/latest                    the name of the newest

A state is written to a folder that ends in .part, synced, renamed, and only then named by `latest`.
`sha256sum -c SHA256SUMS` checks one by hand. Knows no model and no optimiser: tensors and JSON.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from emo.cache import fsops
from emo.canonical import Json
from emo.digests import sha256_file
from emo.llm.weight_files import write_tensors

FORMAT = 1
KEPT = 3
LATEST, NUMBERS, SUMS, PART = "latest", "state.json", "SHA256SUMS", ".part"


class Saved(NamedTuple):
    """A state as it was read: its folder's name, its JSON, its tensors by kind."""

    name: str
    numbers: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]


class States:
    """The states of a run. Their names sort in the order in which they were saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(
        self, name: str, numbers: Mapping[str, Json], tensors: Mapping[str, Mapping[str, Tensor]]
    ) -> Path:
        """Write a state and make it the newest; all but the last KEPT go. Empty kinds are left out."""
        part = self.folder / f"{name}{PART}"
        remove(part)
        fsops.make_folder(part)
        for kind, values in tensors.items():
            if values:
                write_tensors(values, part / f"{kind}.safetensors")
        _write_text(part / NUMBERS, json.dumps({"format": FORMAT, **numbers}, indent=1))
        sums = [f"{sha256_file(file)}  {file.name}\n" for file in sorted(part.iterdir())]
        _write_text(part / SUMS, "".join(sums))
        target = self.folder / name
        put_in_place(part, target)
        pointer = self.folder / LATEST
        fsops.replace_file(pointer, name.encode(), pointer.with_name(LATEST + PART), durable=True)
        fsops.sync_folder(self.folder)
        for old in self._names()[:-KEPT]:
            remove(self.folder / old)
        return target

    def newest(self) -> tuple[Saved | None, list[str]]:
        """The newest state whose bytes are what was written, None where there is none; and why newer ones
        were passed over. Those, and whatever was not finished, are removed."""
        notes: list[str] = []
        found = None
        for name in reversed(self._named()):
            try:
                found = self.read(name)
                break
            except (OSError, ValueError, SafetensorError) as error:
                notes.append(f"{self.folder / name} is passed over: {error}")
        self._discard_after(found.name if found else "")
        return found, notes

    def _named(self) -> list[str]:
        """Names up to the one that `latest` holds; a later one lacks only its entry there."""
        names = self._names()
        try:
            latest = (self.folder / LATEST).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return names
        return [name for name in names if name <= latest] if latest in names else names

    def _names(self) -> list[str]:
        return [name for name in fsops.names_in(self.folder) if name.startswith("step-") and PART not in name]

    def _discard_after(self, name: str) -> None:
        for other in fsops.names_in(self.folder):
            if other.startswith("step-") and other > name:
                remove(self.folder / other)

    def read(self, name: str) -> Saved:
        """The state of that name; OSError, ValueError or SafetensorError where it is not as written."""
        folder = self.folder / name
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        sums = {file: digest for digest, file in (line.split("  ", 1) for line in lines)}
        for file, digest in sums.items():
            if sha256_file(folder / file) != digest:
                raise ValueError(f"{file} is not what was written")
        if NUMBERS not in sums:
            raise ValueError(f"{SUMS} names no {NUMBERS}")
        numbers = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        if numbers.get("format") != FORMAT:
            raise ValueError(f"format {numbers.get('format')}, not {FORMAT}")
        kinds = [Path(file) for file in sums if file.endswith(".safetensors")]
        return Saved(name, numbers, {kind.stem: load_file(folder / kind) for kind in kinds})


def put_in_place(part: Path, target: Path) -> None:
    """Sync the files of the folder `part` and rename it to `target`, whose former contents then go.

    A kill leaves `target` as it was or as it will be, or, for the instant between two renames, its former
    contents under the name with .old.
    """
    for file in part.iterdir():
        _sync(file)
    fsops.sync_folder(part)
    old = target.with_name(f"{target.name}.old")
    remove(old)
    if target.exists():
        fsops.rename(target, old)
    fsops.rename(part, target)
    fsops.sync_folder(target.parent)
    remove(old)


def remove(folder: Path) -> None:
    """Remove a folder and what is in it; nothing where there is none."""
    if folder.exists():
        shutil.rmtree(folder)


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def _sync(file: Path) -> None:
    descriptor = fsops.open_read(file)
    try:
        fsops.fdatasync(descriptor)
    finally:
        fsops.close(descriptor)
