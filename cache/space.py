"""Space: the records of one spec, as a mapping from clip id.

Knows how to find and read records, and which are wanted but missing; never how they were computed. A space
is a snapshot: what others store later shows after `refresh`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from emo.cache import canary
from emo.cache.access import Access
from emo.cache.batches import BATCH, Batches
from emo.cache.buffers import aligned_empty
from emo.cache.feature import Feature, RecordInfo
from emo.cache.following import following
from emo.cache.freshness import Compared, compared, missing_clips
from emo.cache.geometry import Geometry
from emo.cache.index import Index
from emo.cache.leases import Leases
from emo.cache.news import News
from emo.cache.paths import SpacePaths
from emo.cache.reader import ArrayReader, Readers, RowReader
from emo.cache.snapshot import Snapshot
from emo.cache.state import SpaceState
from emo.cache.writer import SpaceWriter
from emo.canonical import Json
from emo.config.cache import DEFAULTS, Durability
from emo.errors import CacheError, ConfigError
from emo.records import Array
from emo.spec import FeatureSpec


class Space(Mapping[str, Feature]):
    """The current usable records of one spec, by clip id, and the status of every other clip.

    >>> space = emo.open("features.zarr")["hubert"]
    >>> len(space), sorted(space)[:2], space.info("clip1").status
    (8, ['clip1', 'clip2'], 'ok')
    >>> space.stack(["clip1", "clip2"], "utterance").shape  # (B, D)
    (2, 96)

    Raises CacheMiss, naming the command that fills it, for a clip without a usable record.
    """

    def __init__(self, paths: SpacePaths, access: Access, readers: Readers = ArrayReader) -> None:
        self._paths, self._access = paths, access
        self._snapshot = Snapshot(paths, access, readers)
        self.spec: FeatureSpec = self._snapshot.state.spec

    @property
    def name(self) -> str:
        """`<encoder>/<first 16 hex digits of the fingerprint>`."""
        return self._paths.name

    @property
    def paths(self) -> SpacePaths:
        """Where the space lies."""
        return self._paths

    @property
    def state(self) -> SpaceState:
        """The published snapshot that this space shows."""
        return self._snapshot.state

    @property
    def index(self) -> Index:
        """The index in memory; read and checked when first asked for.

        A writable space first publishes what killed writers left in their journals.
        """
        return self._snapshot.index

    def refresh(self) -> None:
        """Show what has been stored since this space was opened."""
        self._snapshot = self._snapshot.newer()

    def __repr__(self) -> str:
        return f"<Space {self.name} preset={self.spec.preset!r} arrays={list(self.spec.arrays)}>"

    def __getstate__(self) -> tuple[SpacePaths, Access, Readers]:
        """Another process opens the space for itself: descriptors do not travel."""
        return self._paths, self._access, self._snapshot.readers

    def __setstate__(self, state: tuple[SpacePaths, Access, Readers]) -> None:
        Space.__init__(self, *state)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    @following
    def __iter__(self) -> Iterator[str]:
        status = self.index.column("status")
        return (clip_id for clip_id, row in self.index.live() if self._snapshot.usable(status[row]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @following
    def __contains__(self, clip_id: object) -> bool:
        row = self.index.current.get(clip_id) if isinstance(clip_id, str) else None
        return row is not None and self._snapshot.usable(self.index.column("status")[row])

    def __getitem__(self, clip_id: str) -> Feature:
        info = self.info(clip_id)
        if info is None or not self._snapshot.usable(info.status):
            raise self._snapshot.miss(clip_id, info)
        return Feature(self, clip_id, info)

    @following
    def info(self, clip_id: str) -> RecordInfo | None:
        """What is known of a clip, whatever its status; None where nothing is.

        Where degraded records are accepted, one is shown as `ok`, with its own status as the reason.
        """
        return self._snapshot.info(clip_id)

    @following
    def infos(self) -> dict[str, RecordInfo]:
        """What is known of every clip, whatever its status."""
        index = self.index
        counts = {array: index.column(f"{array}_rows").tolist() for array in self.spec.arrays}
        status, reason = index.column("status"), index.column("reason")
        digest = index.column("input_sha256").tobytes()
        return {
            clip_id: RecordInfo(
                clip_id,
                status[row],
                reason[row],
                digest[32 * row : 32 * row + 32],
                {array: count[row] for array, count in counts.items() if count[row]},
            )
            for clip_id, row in index.live()
        }

    @following
    def meta(self, clip_id: str) -> dict[str, Json]:
        """What the encoder noted of a clip; CacheMiss where nothing is known of it."""
        import json

        row = self.index.current.get(clip_id)
        if row is None:
            raise self._snapshot.miss(clip_id, None)
        return cast(dict[str, Json], json.loads(self.index.column("meta")[row]))

    @following
    def compared(self, wanted: Mapping[str, bytes]) -> list[Compared]:
        """The clips of `wanted` (clip id to the digest of its input) that have a record, whatever its
        status, and whether it was made of that input."""
        return compared(self.index, wanted)

    @following
    def missing(
        self, wanted: Mapping[str, bytes], arrays: Sequence[str] = (), *, retry_failed: bool = False
    ) -> list[str]:
        """The clips of `wanted` (clip id to the digest of its input) that have yet to be encoded.

        A clip is served by a record of the same input that has rows for each of `arrays` (none named:
        for any), or whose status says that there is nothing to encode. `retry_failed` asks again for
        those that failed.
        """
        self._snapshot.check_arrays(arrays)
        return missing_clips(self.index, wanted, arrays, retry_failed=retry_failed)

    def read(self, clip_id: str, array: str) -> Array:
        """One array of a clip: frames (T, D), tokens (N, D) or utterance (D,).

        bfloat16 is given as float32. Raises CacheMiss where the clip has no such array, DamagedCache
        where its bytes are not those that were stored. Degraded records can be read.
        """
        return self.read_many([clip_id], array)[0]

    @following
    def read_many(self, ids: Sequence[str], array: str) -> list[Array]:
        """`read` for many clips, in the order of `ids`; the kernel is told of all before the first."""
        places = self._snapshot.places(ids, array)
        geometry = self.reader(array).geometry
        stored = [aligned_empty((place.rows, *geometry.row_shape), geometry.dtype) for place in places]
        self._snapshot.fill(ids, array, places, stored)
        squeeze = self.spec.arrays[array].kind != "frames"
        return [geometry.widened(values[0] if squeeze else values) for values in stored]

    @following
    def read_into(self, ids: Sequence[str], array: str, outs: Sequence[NDArray[Any]]) -> None:
        """`read_many` into buffers of the caller: each C-contiguous, of the stored dtype (bfloat16 as
        uint16) and (rows, ...) long, where tokens and utterance have one row."""
        places = self._snapshot.places(ids, array)
        geometry = self.reader(array).geometry
        for clip_id, place, out in zip(ids, places, outs, strict=True):
            shape = (place.rows, *geometry.row_shape)
            if out.shape != shape or out.dtype != geometry.dtype or not out.flags.c_contiguous:
                raise ConfigError(
                    f"the buffer for {array} of clip {clip_id!r} is {out.dtype} {out.shape}; "
                    f"it must be {geometry.dtype} {shape}, C-contiguous"
                )
        self._snapshot.fill(ids, array, places, outs)

    @following
    def stack(self, ids: Sequence[str], array: str) -> Array:
        """(B, ...) of the clips in order; ConfigError where they differ in length."""
        places = self._snapshot.places(ids, array)
        geometry = self.reader(array).geometry
        rows = {place.rows for place in places}
        if len(rows) > 1:
            raise ConfigError(
                f"{array} of {self.name} has {min(rows)} to {max(rows)} rows a clip and cannot be stacked. "
                "Use read_many and pad."
            )
        stored = aligned_empty((len(ids), max(rows, default=1), *geometry.row_shape), geometry.dtype)
        self._snapshot.fill(ids, array, places, list(stored))
        squeeze = self.spec.arrays[array].kind != "frames"
        return geometry.widened(stored[:, 0] if squeeze else stored)

    def batches(self, ids: Sequence[str], array: str, *, size: int = BATCH) -> Batches:
        """The clips in batches of `size`, padded, in buffers that are used again: `.here(out)` reads them
        in this thread, `.ahead()` in another."""
        return Batches(self, ids, array, size)

    @following
    def view(self, clip_id: str, array: str) -> NDArray[Any]:
        """An array of a clip as it is stored (bfloat16 as uint16), read-only, checked once.

        Where the shard is dense these are the mapped bytes of the file, without a copy: fast where the
        file is in memory, slow where it is not, and zeros once the clip is forgotten.
        """
        (place,) = self._snapshot.places([clip_id], array)
        reader = self.reader(array)
        view = reader.view(place)
        if view is None:
            view = aligned_empty((place.rows, *reader.geometry.row_shape), reader.geometry.dtype)
            self._snapshot.fill([clip_id], array, [place], [view])
            view.flags.writeable = False
        return view if self.spec.arrays[array].kind == "frames" else view[0]

    @following
    def row_counts(self, ids: Sequence[str], array: str) -> NDArray[np.int64]:
        """(B,) rows of the clips in one array; CacheMiss where one has none."""
        return np.array([place.rows for place in self._snapshot.places(ids, array)], np.int64)

    def reader(self, array: str) -> RowReader:
        """The reader of one array's rows."""
        return self._snapshot.reader(array)

    def geometry(self, array: str) -> Geometry:
        """Geometry of one array."""
        return self._snapshot.state.geometry(array)

    def writer(
        self,
        durability: Durability = DEFAULTS.durability,
        *,
        batch_records: int = DEFAULTS.batch_records,
        publish_records: int = DEFAULTS.publish_records,
    ) -> SpaceWriter:
        """A sink for records of this spec. CacheError where the cache was opened to read."""
        self._check_writable()
        return SpaceWriter(
            self, self._paths, durability, batch_records=batch_records, publish_records=publish_records
        )

    def leases(self, beat_seconds: float = DEFAULTS.lease_beat_seconds) -> Leases:
        """The clips of this space that this process works on, as others see it."""
        self._check_writable()
        return Leases(self._paths, beat_seconds)

    def news(self) -> News:
        """What is stored in this space from its snapshot on, by this process or another."""
        return News(self._paths, self.state)

    def write_canary(self, arrays: Mapping[str, Array]) -> None:
        """Store the encoder's output on the canary clip; nothing where a canary is stored already."""
        self._check_writable()
        canary.write_canary(self._paths, arrays)
        self.refresh()

    def read_canary(self) -> dict[str, Array] | None:
        """The stored output on the canary clip, float32 by array name; None where there is none."""
        return canary.read_canary(self._paths, self.state)

    def _check_writable(self) -> None:
        if not self._access.writable:
            raise CacheError(f"the cache of {self.name} was opened to read. Open it with mode='a'.")
