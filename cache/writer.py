"""SpaceWriter: takes records and makes them last.

Rows are written, synced, and then named in the journal: only with its journal line does a record exist.
Knows nothing of encoders; a record is data.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from crc32c import crc32c

from emo.cache import fsops
from emo.cache.journal import JournalWriter
from emo.cache.paths import SpacePaths
from emo.cache.prepare import Prepared, prepare
from emo.cache.publish import enter_as_writer, publish
from emo.cache.rows import Place, Row
from emo.cache.shards import ShardWriter
from emo.cache.state import load_state
from emo.clip import normal_id
from emo.config.cache import Durability
from emo.errors import CacheError, CacheMiss, ConfigError
from emo.records import Record

if TYPE_CHECKING:
    from emo.cache.space import Space


class SpaceWriter:
    """A FeatureSink for one space. Makes no file before the first record, so a full cache stays untouched.

    `acknowledged` counts the records that are safe: with `batch` and `record` against a crash of the
    machine, with `none` against a kill of the process. After an error of the file system nothing more can
    be put; what was acknowledged stays.
    """

    def __init__(
        self,
        space: Space,
        paths: SpacePaths,
        durability: Durability,
        *,
        batch_records: int,
        publish_records: int,
    ) -> None:
        if durability not in ("batch", "record", "none"):
            raise ConfigError(f"durability is batch, record or none, not {durability!r}")
        self.acknowledged = 0
        self._space, self._paths = space, paths
        self._durable = durability != "none"
        self._batch = batch_records if durability == "batch" else 1
        self._publish_records = publish_records
        self._geometries = {name: space.geometry(name) for name in space.spec.arrays}
        self._shards = {
            name: ShardWriter(paths, name, geometry, durable=self._durable)
            for name, geometry in self._geometries.items()
        }
        self._journal: JournalWriter | None = None
        self._entered: int | None = None
        self._pending: list[Row] = []
        self._unsafe_bytes = 0
        self._unpublished: dict[str, Row] = {}
        self._state = "open"

    def put(self, record: Record) -> Record:
        """Store one record of the space's spec and return it as kept; ConfigError where it does not fit.

        A record of a clip that has one becomes the current one. Values that are no features are stored
        as a status, see `emo.cache.prepare`.
        """
        prepared = prepare(record, self._space.spec, self._geometries)
        with self._writing():
            self._unsafe_bytes += sum(block.nbytes for block in prepared.blocks.values())
            self._enter()
            for name, block in prepared.blocks.items():
                if not self._shards[name].has_room(len(block)):
                    self._commit()
                    self._shards[name].take(len(block))
            self._add(self._row(prepared))
        kept = record.arrays if prepared.blocks else {}
        return replace(record, status=prepared.status, reason=prepared.reason, arrays=kept)

    def alias(self, existing_id: str, new_id: str) -> None:
        """Give a stored record a second clip id: one more index row to the same data."""
        with self._writing():
            self._enter()
        row = self._unpublished.get(existing_id) or self._published(existing_id)
        with self._writing():
            self._add(
                Row(
                    clip_id=normal_id(new_id),
                    status=row.status,
                    reason=row.reason,
                    meta=row.meta,
                    input_sha256=row.input_sha256,
                    places=row.places,
                )
            )

    @property
    def received(self) -> int:
        """How many records were put; those that are not acknowledged yet included."""
        return self.acknowledged + len(self._pending)

    def flush(self) -> None:
        """On return every record put so far is acknowledged."""
        with self._writing():
            self._commit()

    def publish(self) -> None:
        """Fold what was acknowledged into the index, for readers that are not emo."""
        with self._writing():
            self._commit()
            self._publish()

    def close(self) -> None:
        """Acknowledge and publish everything and let go of the shards; nothing where it is closed."""
        if self._state == "closed":
            return
        sound = self._state == "open"
        try:
            if sound:
                with self._writing():
                    self._commit()
        finally:
            written = self._journal is not None
            self._release()
        if written and sound:
            try:
                self._publish()
            except OSError as error:
                raise self._explained(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._state != "open":
            raise CacheError(f"the writer of {self._paths.name} is {self._state}: open another one.")
        try:
            yield
        except BaseException as error:
            # after a write or sync that did not end nobody knows what the disk has: acknowledge no more
            self._state = "broken"
            if isinstance(error, OSError):
                raise self._explained(error) from error
            raise

    def _explained(self, error: OSError) -> OSError:
        """The error, and of a full disk what is needed, what there is, and what is safe."""
        if error.errno != errno.ENOSPC:
            return error
        root = self._paths.cache.root
        need = f"{self._unsafe_bytes} bytes of features" if self._unsafe_bytes else "the index"
        return OSError(
            errno.ENOSPC,
            f"No space left on device: {need} must be written, {fsops.free_bytes(root)} bytes are free. "
            f"What was acknowledged is safe ({self.acknowledged} records of this run). "
            "Free some space and run the same command again",
            str(root),
        )

    def _enter(self) -> None:
        """Keep compaction away from here to the end; forget what one before changed."""
        if self._entered is None:
            self._entered = enter_as_writer(self._paths)
            if load_state(self._paths).generation != self._space.state.generation:
                self._space.refresh()

    def _row(self, prepared: Prepared) -> Row:
        places = {}
        for name, block in prepared.blocks.items():
            start = self._shards[name].append(block)
            places[name] = Place(start, len(block), crc32c(block.data.cast("B")))
        return Row(
            clip_id=prepared.clip_id,
            status=prepared.status,
            reason=prepared.reason,
            meta=prepared.meta,
            input_sha256=prepared.input_sha256,
            places=places,
        )

    def _add(self, row: Row) -> None:
        self._pending.append(row)
        self._unpublished[row.clip_id] = row
        if len(self._pending) >= self._batch:
            self._commit()
        if len(self._unpublished) >= self._publish_records:
            self._commit()
            self._publish()

    def _commit(self) -> None:
        if not self._pending:
            return
        if self._journal is None:
            self._journal = JournalWriter(self._paths, self._space.spec.fingerprint, durable=self._durable)
        if self._durable:
            for shard in self._shards.values():
                shard.sync()
        self._journal.append(self._pending)
        self.acknowledged += len(self._pending)
        self._pending, self._unsafe_bytes = [], 0

    def _publish(self) -> None:
        publish(self._paths, durable=self._durable)
        self._unpublished = {}
        self._space.refresh()

    def _release(self) -> None:
        for shard in self._shards.values():
            shard.release()
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        if self._entered is not None:
            fsops.close(self._entered)
            self._entered = None
        self._state = "closed"

    def _published(self, clip_id: str) -> Row:
        index = self._space.index
        number = index.current.get(clip_id)
        if number is None:
            raise CacheMiss(f"{self._paths.name} has no record of clip {clip_id!r} to give another id.")
        places = {array: index.place(number, array) for array in self._space.spec.arrays}
        return Row(
            clip_id=clip_id,
            status=index.column("status")[number],
            reason=index.column("reason")[number],
            meta=index.column("meta")[number],
            input_sha256=index.column("input_sha256")[number].tobytes(),
            places={array: place for array, place in places.items() if place.rows},
        )
