"""FeatureCache: the spaces of one cache on disk, found by spec or by name.

Knows which spaces there are and how a new one comes to be; nothing of records.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

from emo.cache import fsops
from emo.cache.access import Access
from emo.cache.columns import index_columns
from emo.cache.damage import DamagedFile
from emo.cache.format import FORMAT, Document, check_format, group, stamped
from emo.cache.leftovers import clear_leftovers
from emo.cache.paths import HALF_MADE, METADATA, CachePaths, SpacePaths
from emo.cache.remote.urls import is_remote, parse_url
from emo.cache.space import Space
from emo.cache.state import NAME, created_by, new_state, read_metadata
from emo.config.cache import DEFAULTS, Check
from emo.errors import AmbiguousSpace, CacheError, CacheMiss, ConfigError, FormatError
from emo.rights import UNDECLARED, DataRights, united
from emo.spec import FeatureSpec

AUGMENTED_OF = "parent"  # in a recipe: the fingerprint of the space that an augmented one belongs to
STORED_DTYPES = ("float16", "bfloat16", "float32", "float64", "int8")

Mode = Literal["r", "a"]


def open_cache(
    path: str | os.PathLike[str],
    mode: Mode = "r",
    *,
    accept_degraded: bool = False,
    check: Check = DEFAULTS.check,
) -> FeatureCache:
    """The cache at `path`: `r` to read an existing one, `a` to add to it or make it.

    `accept_degraded` shows records of damaged but readable media as sound ones; for reading only. `check` is
    when records are compared with their checksums: on `every` read, on the `first` of each opening, or
    `never`, which serves damaged bytes as they are.

    `s3://BUCKET/PATH` and `hf://OWNER/NAME` are read in place: one ranged request for each clip, always
    checked.

    Raises CacheMiss where there is none to read, FormatError where it is something else or of another
    format, DamagedCache where its metadata is not what was written.

    >>> emo.open("features.zarr")["hubert"]["clip1"].values.shape
    (18, 96)
    """
    if mode not in ("r", "a"):
        raise ConfigError(f"a cache is opened with mode 'r' or 'a', not {mode!r}")
    if check not in get_args(Check):
        raise ConfigError(f"records are checked on 'every' read, the 'first' or 'never', not {check!r}")
    if accept_degraded and mode != "r":
        raise ConfigError("a cache that is added to shows degraded records as they are.")
    if is_remote(os.fspath(path)):
        return _opened_remote(os.fspath(path), mode, accept_degraded)
    paths = CachePaths.at(path)
    if not paths.metadata.exists():
        if paths.root.is_dir() and any(paths.root.iterdir()):
            raise FormatError(
                f"{paths.root} holds no feature cache: it has no {METADATA}. "
                "Name the folder that emo extract --cache wrote."
            )
        if mode == "r":
            raise CacheMiss(
                f"there is no feature cache at {paths.root}. Run: emo extract --cache {paths.root}"
            )
        _make_root(paths)
    refuse_no_cache(paths)
    return FeatureCache(paths, Access(mode == "a", accept_degraded, check))


def refuse_no_cache(paths: CachePaths) -> None:
    """FormatError for a folder in which nothing was ever written by a cache: a wrong path is no damage."""
    traces = [paths.aside, *paths.root.glob(f"*/*/clip_id/{METADATA}")]
    root = paths.metadata.read_bytes() if paths.metadata.is_file() else None
    foreign = root is None or (_is_json(root) and b'"emo:' not in root)
    if foreign and not any(trace.exists() for trace in traces):
        lacks = f"it has no {METADATA}" if root is None else f"its {METADATA} is of another program"
        raise FormatError(f"{paths.root} holds no feature cache: {lacks}.")


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def _opened_remote(url: str, mode: Mode, accept_degraded: bool) -> FeatureCache:
    if mode == "a":
        raise ConfigError(
            f"{parse_url(url).url} is a remote cache: it is read in place, or filled by emo cache push."
        )
    from emo.cache.remote.reading import open_remote

    return open_remote(url, Access(accept_degraded=accept_degraded))


class FeatureCache:
    """Feature spaces by spec, by `hubert`, by `hubert/<fingerprint prefix>`, by `hubert@<preset>` or, for a
    spec labelled `<preset>+<variant>`, by `hubert@<variant>`.

    An augmented space is named by its label, as `hubert@base+noise@10dB`; `hubert` alone is the plain one.

    >>> cache = emo.open("features.zarr")
    >>> "hubert" in cache, [space.spec.encoder for space in cache.spaces()]
    (True, ['hubert'])

    Raises CacheMiss for a space that is not there, AmbiguousSpace for a name that fits several.
    """

    def __init__(self, paths: CachePaths, access: Access) -> None:
        self._paths, self._access = paths, access
        self._spaces: dict[str, Space] = {}
        self._names()

    @property
    def path(self) -> Path:
        """The Zarr hierarchy's folder."""
        return self._paths.root

    @property
    def where(self) -> str:
        """What a user calls this cache."""
        return str(self.path)

    @property
    def data(self) -> tuple[DataRights, ...]:
        """What was declared of the data sets whose features these are; none where nobody did."""
        return rights_in(read_metadata(self._paths.metadata), self._paths.metadata)

    def unite(self, data: Sequence[DataRights]) -> None:
        """Say that features of these data sets are added; none are data that nobody declared.

        What is there stays declared as it is: records of a cache without a declaration stay undeclared.
        """
        here = self.data
        if here or data:
            mine = here or ((UNDECLARED,) if self._holds_records() else ())
            self.declare(united(mine, data or (UNDECLARED,)))

    def declare(self, data: Iterable[DataRights]) -> None:
        """Replace what is said of the data sets. CacheError where the cache was opened to read."""
        if not self._access.writable:
            raise CacheError(f"{self.where} was opened to read. Open it with mode='a'.")
        with spaces_lock(self._paths):
            data = united(data)
            if data != self.data:
                self._write_root(self._names(), data)

    def _holds_records(self) -> bool:
        return any(len(space.index) for space in self.spaces())

    def spaces(self) -> list[Space]:
        """Every space, by encoder and fingerprint."""
        return [self._space(name) for name in self._names()]

    def space(self, which: FeatureSpec | str) -> Space:
        """One space. Raises CacheMiss where there is none, AmbiguousSpace where a name fits several."""
        found = self._matching(which)
        if not found:
            raise CacheMiss(self._miss(which))
        if len(found) > 1:
            listed = ", ".join(f"{space.name} (preset {space.spec.preset or 'none'})" for space in found)
            raise AmbiguousSpace(
                f"{which!r} fits {len(found)} spaces of {self.where}: {listed}. "
                "Name one as encoder@preset or encoder/fingerprint."
            )
        return found[0]

    def augmented(self, parent: Space) -> list[Space]:
        """The spaces of augmented views whose parent this space is."""
        wanted = parent.spec.fingerprint
        return [space for space in self.spaces() if space.spec.recipe.get(AUGMENTED_OF) == wanted]

    def __getitem__(self, which: FeatureSpec | str) -> Space:
        return self.space(which)

    def __contains__(self, which: object) -> bool:
        return isinstance(which, FeatureSpec | str) and bool(self._matching(which))

    def __repr__(self) -> str:
        return f"<FeatureCache {self.where} spaces={self._names()}>"

    def create(self, spec: FeatureSpec, *, shard_bytes: int = DEFAULTS.shard_bytes) -> Space:
        """The space of this spec, made where it is not there. `shard_bytes` holds for a new space.

        Raises CacheError where the cache was opened to read, ConfigError where a name in the spec cannot
        stand in the format.
        """
        if not self._access.writable:
            raise CacheError(f"{self.where} was opened to read. Open it with mode='a'.")
        _check_names(spec)
        paths = self._paths.space(spec.encoder, spec.short)
        if paths.name not in self._names():
            with spaces_lock(self._paths):
                clear_leftovers(self._paths.aside)
                _make_group(self._paths, spec.encoder)
                _make_space(paths, spec, shard_bytes)
                self._list(paths.name)
        return self._space(paths.name)

    def _names(self) -> list[str]:
        document = read_metadata(self._paths.metadata)
        check_format(document["attributes"], self._paths.root)
        names = [str(name) for name in document["attributes"]["spaces"]]
        if not all(len(parts := name.split("/")) == 2 and all(map(NAME.fullmatch, parts)) for name in names):
            raise DamagedFile(self._paths.metadata, f"it lists spaces outside of the cache: {names}.")
        return names

    def _space(self, name: str) -> Space:
        if name not in self._spaces:
            encoder, _, short = name.partition("/")
            self._spaces[name] = Space(self._paths.space(encoder, short), self._access)
        return self._spaces[name]

    def _matching(self, which: FeatureSpec | str) -> list[Space]:
        if isinstance(which, FeatureSpec):
            name = f"{which.encoder}/{which.short}"
            return [self._space(name)] if name in self._names() else []
        encoder, _, preset = which.partition("@")
        encoder, _, prefix = encoder.partition("/")
        found = [name for name in self._names() if name.startswith(f"{encoder}/{prefix}")]
        spaces = [self._space(name) for name in found]
        if not preset and not prefix:  # what was made for training only is never meant by the bare name
            spaces = [space for space in spaces if AUGMENTED_OF not in space.spec.recipe] or spaces
        return [space for space in spaces if not preset or preset in _labels(space.spec.preset)]

    def _miss(self, which: FeatureSpec | str) -> str:
        encoder = which.encoder if isinstance(which, FeatureSpec) else re.split("[/@]", which)[0]
        asked = f"{which.encoder}/{which.short}" if isinstance(which, FeatureSpec) else which
        others = [name for name in self._names() if name.startswith(f"{encoder}/")] or self._names()
        held = f" It has {', '.join(others)}." if others else " It is empty."
        return (
            f"{self.where} has no space {asked!r}.{held} "
            f"Run: emo extract --encoder {encoder} --cache {self.where}"
        )

    def _list(self, name: str) -> None:
        """Add a space to the root group, under the lock of the spaces."""
        names = self._names()
        if name not in names:
            self._write_root(sorted([*names, name]), self.data)

    def _write_root(self, names: list[str], data: Sequence[DataRights]) -> None:
        fsops.replace_file(
            self._paths.metadata,
            stamped(root_group(names, data)),
            self._paths.aside / f"root{HALF_MADE}",
            durable=True,
        )
        fsops.sync_folder(self._paths.root)


def _labels(preset: str) -> tuple[str, str]:
    """What may stand behind the @ for a spec labelled `tiny+merbench`: all of it, or `merbench` alone."""
    return preset, preset.partition("+")[2]


def root_group(spaces: Sequence[str], data: Sequence[DataRights] = ()) -> Document:
    """The zarr.json of a cache with these spaces; `data` says whose features they hold."""
    attributes: Document = {"emo:format": FORMAT, "created_by": created_by(), "spaces": list(spaces)}
    if data:
        attributes["emo:data"] = [record.to_json() for record in data]
    return group(attributes)


def rights_in(document: Document, path: Path) -> tuple[DataRights, ...]:
    """What a root's zarr.json says of the data sets; DamagedCache where no writer says it so."""
    try:
        return tuple(DataRights.from_json(one) for one in document["attributes"].get("emo:data", []))
    except (ConfigError, TypeError) as error:
        raise DamagedFile(path, f"its emo:data is no list of rights ({error}).") from error


@contextmanager
def spaces_lock(paths: CachePaths) -> Iterator[None]:
    """Hold the lock of the list of spaces."""
    fsops.make_folder(paths.aside)
    descriptor = fsops.open_lock(paths.lock)
    try:
        fsops.flock(descriptor, wait=True)
        yield
    finally:
        fsops.close(descriptor)


def _check_names(spec: FeatureSpec) -> None:
    for what, name in [("encoder", spec.encoder), *(("array", array) for array in spec.arrays)]:
        if not NAME.fullmatch(name):
            raise ConfigError(f"{what} name {name!r} cannot be stored: use letters, digits and . _ @ + -")
    for name, layout in spec.arrays.items():
        if layout.dtype not in STORED_DTYPES:
            raise ConfigError(
                f"{spec.encoder}: {name} is {layout.dtype}; a cache stores {', '.join(STORED_DTYPES)}"
            )
    names = [column.name for column in index_columns(list(spec.arrays))]
    taken = sorted({"canary", *names} & set(spec.arrays)) + sorted({n for n in names if names.count(n) > 1})
    if taken or not spec.arrays:
        raise ConfigError(
            f"{spec.encoder}: array names {sorted(spec.arrays)} clash with the cache's own {taken}"
        )


def _make_root(paths: CachePaths) -> None:
    """Make an empty cache in one step; whoever comes second finds it made."""
    with spaces_lock(paths):
        if not paths.metadata.exists():
            _place_folder({METADATA: stamped(root_group([]))}, paths.aside, paths.root)


def _make_group(paths: CachePaths, encoder: str) -> None:
    folder = paths.root / encoder
    if not (folder / METADATA).exists():
        _place_folder({METADATA: stamped(group({"emo:encoder": encoder}))}, paths.aside, folder)


def _make_space(paths: SpacePaths, spec: FeatureSpec, shard_bytes: int) -> None:
    fsops.make_folder(paths.aside)
    if paths.metadata.exists():
        return
    state = new_state(spec, shard_bytes)
    files = {f"{name}/{METADATA}": stamped(member) for name, member in state.members.items()}
    _place_folder({**files, METADATA: stamped(state.document())}, paths.aside, paths.folder)


def _place_folder(files: dict[str, bytes], aside: Path, target: Path) -> None:
    """Make a folder with these files beside the hierarchy and move it to its place in one step."""
    scratch = aside / f"folder{os.getpid()}-{time.time_ns()}{HALF_MADE}"
    for name, data in files.items():
        path = scratch / name
        fsops.make_folder(path.parent)
        fsops.replace_file(path, data, path.with_suffix(HALF_MADE), durable=True)
        fsops.sync_folder(path.parent)
    fsops.sync_folder(scratch)
    fsops.rename(scratch, target)
    fsops.sync_folder(target.parent)
