"""Where everything of one cache lies. Knows names only, never the contents of a file.

The Zarr hierarchy holds nothing but Zarr; locks, journals and half-made files live in a sibling folder on
the same file system, so that a rename between the two is atomic and plain Zarr readers see no strays.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

METADATA = "zarr.json"
HALF_MADE = ".new"  # suffix of files and folders that nothing refers to yet


@dataclass(frozen=True, slots=True)
class CachePaths:
    """Paths of a whole cache: `root` is the Zarr hierarchy, `aside` its sibling."""

    root: Path

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> CachePaths:
        """The cache that a user's path names, `.` and `..` included."""
        root = Path(path)
        return cls(root if root.name not in ("", "..") else root.resolve())

    @property
    def aside(self) -> Path:
        """Folder of locks, journals and half-made files: `<root>.journal`."""
        return self.root.with_name(self.root.name + ".journal")

    @property
    def metadata(self) -> Path:
        """The root group's zarr.json."""
        return self.root / METADATA

    @property
    def lock(self) -> Path:
        """Held while the list of spaces changes."""
        return self.aside / "spaces.lock"

    def space(self, encoder: str, short: str) -> SpacePaths:
        """Paths of the space of this encoder and short fingerprint."""
        return SpacePaths(self, encoder, short)


@dataclass(frozen=True, slots=True)
class SpacePaths:
    """Paths of one space: `<root>/<encoder>/<first 16 hex digits of the fingerprint>`."""

    cache: CachePaths
    encoder: str
    short: str

    @property
    def name(self) -> str:
        """`<encoder>/<short fingerprint>`, as people and the root group write it."""
        return f"{self.encoder}/{self.short}"

    @property
    def folder(self) -> Path:
        """The space's Zarr group."""
        return self.cache.root / self.encoder / self.short

    @property
    def aside(self) -> Path:
        """The space's journals, locks and half-made files."""
        return self.cache.aside / self.encoder / self.short

    @property
    def lineage(self) -> list[Path]:
        """The folders whose names lead to the space and to its journals."""
        outermost = self.cache.root.parent
        down = [*self.folder.parents[:2], *self.aside.parents[:2]]
        return [self.folder, self.aside, *down, outermost]

    @property
    def metadata(self) -> Path:
        """The space's zarr.json, whose rename is the commit."""
        return self.folder / METADATA

    @property
    def publish_lock(self) -> Path:
        """Held while journals are folded into the index, and while a shard is adopted."""
        return self.aside / "publish.lock"

    @property
    def writers_lock(self) -> Path:
        """Shared by those that write records, held alone by who compacts the space."""
        return self.aside / "writers.lock"

    def scratch(self, stem: str) -> Path:
        """Name for a half-made file; only the holder of a lock or a unique `stem` writes there."""
        return self.aside / f"{stem}{HALF_MADE}"

    def chunk(self, array: str, key: tuple[int, ...]) -> Path:
        """File of the chunk or shard at this place in the array's grid."""
        return self.folder.joinpath(array, "c", *map(str, key))


@dataclass(frozen=True, slots=True)
class SpaceElsewhere(SpacePaths):
    """A space that is made at another place before it takes its own."""

    place: Path

    @property
    def folder(self) -> Path:
        """Where the group is made."""
        return self.place
