"""What an HDF5 file of others may hold: groups and datasets that lie inside it, reached by no link.

An external or soft link at any component of a path, external storage and virtual datasets are refused.
Knows no layout of features.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from emo.errors import ConfigError

if TYPE_CHECKING:
    import h5py


def open_h5(path: str | os.PathLike[str]) -> h5py.File:
    """The file, to read; ConfigError where it is none."""
    import h5py

    try:
        return h5py.File(Path(path), "r")
    except OSError as error:
        raise ConfigError(f"{path} is no HDF5 file that can be read: {error}") from error


def plain_group(parent: h5py.Group, name: str) -> h5py.Group:
    """A group in this file; ConfigError where it is missing, a link or no group."""
    import h5py

    child = _child(parent, name)
    if not isinstance(child, h5py.Group):
        raise ConfigError(f"{Path(parent.file.filename).name}:{child.name} is no group")
    return child


def plain_dataset(parent: h5py.Group, name: str) -> h5py.Dataset:
    """A dataset whose bytes lie in this file; ConfigError where it is missing, a link or elsewhere."""
    import h5py

    child = _child(parent, name)
    where = f"{Path(parent.file.filename).name}:{parent.name}/{name}"
    if not isinstance(child, h5py.Dataset):
        raise ConfigError(f"{where} is no dataset")
    if child.is_virtual or child.id.get_create_plist().get_external_count():
        raise ConfigError(f"{where} keeps its values in another file, which is refused")
    return child


def _child(parent: h5py.Group, name: str) -> h5py.HLObject:
    import h5py

    link = parent.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        kind = "missing" if link is None else f"a {type(link).__name__}, which is refused"
        raise ConfigError(f"{Path(parent.file.filename).name}:{parent.name}/{name} is {kind}")
    return parent[name]
