"""Import of arrays that nobody described: a tree of .npy and .npz files, or one .npz, an array a clip.

The clip id is the file's path in the tree without its suffix, or the member's name in a single .npz. Knows
nothing of which tool made them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from emo.cache.exchange.foreign import Foreign, Given, Refused
from emo.cache.exchange.incoming import Origin, Taken, folder_name, take_in
from emo.cache.exchange.npy import open_npz, read_member, read_npy
from emo.cache.store import FeatureCache
from emo.errors import ConfigError
from emo.spec import ArrayKind

TOOL = "arrays"


def import_arrays(
    cache: FeatureCache, path: Path, encoder: str, kind: ArrayKind, *, append: bool = False
) -> Iterator[Taken]:
    """Store a tree of .npy and .npz files, or one .npz, as features of `encoder`. See `take_in`.

    `kind` says what an array is: an utterance (D,), frames (T, D) or tokens (N, D).
    """
    items = _members(path, kind) if path.is_file() else _files(path, kind)
    yield from take_in(cache, encoder, Origin(TOOL, folder_name(path)), items, append=append)


def npy_given(path: Path) -> Given:
    """What a .npy file holds."""
    values = read_npy(path)
    return Given(values, values.dtype.name)


def _files(root: Path, kind: ArrayKind) -> list[Foreign]:
    found = sorted(path for path in root.rglob("*") if path.suffix in (".npy", ".npz"))
    return [
        Foreign(
            path.relative_to(root).with_suffix("").as_posix(),
            kind,
            kind,
            partial(npy_given if path.suffix == ".npy" else _only_member, path),
        )
        for path in found
    ]


def _only_member(path: Path) -> Given:
    with open_npz(path) as archive:
        infos = archive.infolist()
        if len(infos) != 1:
            raise Refused(f"{path.name} holds {len(infos)} arrays; in a tree each file holds one")
        values = read_member(archive, infos[0], f"{path.name}:{infos[0].filename}")
    return Given(values, values.dtype.name)


def _members(path: Path, kind: ArrayKind) -> list[Foreign]:
    if path.suffix != ".npz":
        raise ConfigError(f"{path} is neither a folder nor a .npz file.")
    with open_npz(path) as archive:
        names = archive.namelist()
    return [Foreign(name.removesuffix(".npy"), kind, kind, partial(_member, path, name)) for name in names]


def _member(path: Path, name: str) -> Given:
    with open_npz(path) as archive:
        values = read_member(archive, archive.getinfo(name), f"{path.name}:{name}")
    return Given(values, values.dtype.name)
