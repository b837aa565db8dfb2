"""Mirror: the metadata and the index of remote spaces as local files, all of it but the rows.

What was made here is a cache of format 1 that any code of the cache opens; only its rows lie elsewhere. What
arrives is checked as a local cache is. Knows no rows.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emo.cache import fsops
from emo.cache.format import checked, group, stamped
from emo.cache.index import Index
from emo.cache.paths import HALF_MADE, METADATA, CachePaths, SpacePaths
from emo.cache.remote.layout import RemoteName, Root, bare, canary_chunks, index_chunks
from emo.cache.remote.store import NotThere, Store
from emo.cache.state import SpaceState, parse_state
from emo.cache.store import root_group
from emo.config.remote import DEFAULTS


def read_state(store: Store, name: RemoteName, paths: SpacePaths) -> SpaceState:
    """The published state of a remote space; DamagedCache where it is not what was pushed."""
    label = Path(store.where) / name.folder / METADATA
    return parse_state(checked(store.get(f"{name.folder}/{METADATA}"), label), paths)


def mirror_index(store: Store, name: RemoteName, paths: SpacePaths) -> Index:
    """Fetch the index and canary of a space into `paths`, its members' metadata made from the group's.

    The space's own zarr.json is not written: what is here is no space yet. NotThere where a push took the
    snapshot away meanwhile.
    """
    state = read_state(store, name, paths)
    names = [*index_chunks(state), *canary_chunks(state)]
    with ThreadPoolExecutor(DEFAULTS.at_once) as pool:
        for chunk, data in zip(
            names, pool.map(lambda n: store.get(f"{name.folder}/{n}"), names), strict=True
        ):
            write_file(paths.folder / chunk, data)
    for member, document in state.members.items():
        write_file(paths.folder / member / METADATA, stamped(bare(document)))
    write_file(paths.folder.parent / METADATA, stamped(group({"emo:encoder": name.encoder})))
    return Index(paths, state, ())


def commit_space(index: Index) -> None:
    """Write the zarr.json of a space whose files are all here."""
    write_file(index.paths.metadata, stamped(index.state.document()))


def commit_root(paths: CachePaths, root: Root) -> None:
    """Write the zarr.json of a cache with the root's spaces under their local names."""
    write_file(paths.metadata, stamped(root_group(sorted({space.name for space in root.spaces}), root.data)))


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file in one step, for the process that alone works in this folder."""
    fsops.make_folder(path.parent)
    fsops.replace_file(path, data, path.with_name(path.name + HALF_MADE), durable=False)


def vanished(store: Store, error: NotThere) -> str:
    """What to say where an object of a snapshot is gone."""
    return f"{error} {store.where} was changed while it was read. Open it again."
