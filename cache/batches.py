"""Batches: the records of many clips, padded, in buffers that are used again; read here or in a thread ahead.

A batch lies in its buffer until the buffer is filled anew, so keep a copy of what is to last. Knows NumPy
only; tensors, devices and the order of clips are the caller's.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from queue import Queue
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.cache.buffers import aligned_empty
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.cache.space import Space

Buffer: TypeAlias = NDArray[Any]

BATCH = 32
BUFFERS = 3  # one is read into, one waits, one is used


@dataclass(frozen=True, slots=True)
class Batch:
    """`values` as stored (bfloat16 as uint16): frames (B, T, D), tokens (B, N, D) or utterance (B, D).

    `rows` (B,) is how many rows of each clip are data; frames after them are zeros.
    """

    ids: Sequence[str]
    values: NDArray[Any]
    rows: NDArray[np.int64]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(B, T) bool, the frames that are data."""
        return np.arange(self.values.shape[1]) < self.rows[:, None]


class Batches:
    """Reads the clips `ids` in batches of `size`, in order; T is the longest record of each batch.

    CacheMiss where a clip has no such array, ConfigError where a buffer is too small.
    """

    def __init__(self, space: Space, ids: Sequence[str], array: str, size: int = BATCH) -> None:
        self._space, self._array, self._size = space, array, size
        self._parts = [ids[first : first + size] for first in range(0, len(ids), size)]
        self._rows = space.row_counts(ids, array)
        self._framed = space.spec.arrays[array].kind == "frames"
        geometry = space.geometry(array)
        longest = (int(self._rows.max(initial=0)),) if self._framed else ()
        self.shape = (min(size, len(ids)), *longest, *geometry.row_shape)
        self.dtype = geometry.dtype

    def here(self, out: Buffer | None = None) -> Iterator[Batch]:
        """One batch after the other in `out`, or in a buffer made for them; each until the next."""
        buffer = self._checked(aligned_empty(self.shape, self.dtype) if out is None else out)
        for number in range(len(self._parts)):
            yield self._fill(number, buffer)

    def ahead(self, buffers: int = BUFFERS) -> Generator[Batch, None, None]:
        """As `here`, with a thread that reads ahead into a ring of buffers.

        An error of the thread is raised here, after the batches before it. The thread ends with the
        iterator.
        """
        stop = threading.Event()
        free: Queue[Buffer | None] = Queue()
        filled: Queue[tuple[Buffer, Batch] | BaseException | None] = Queue()
        for _ in range(buffers):
            free.put(aligned_empty(self.shape, self.dtype))
        thread = threading.Thread(target=self._run, args=(free, filled, stop), daemon=True)
        thread.start()
        try:
            while (found := filled.get()) is not None:
                if isinstance(found, BaseException):
                    raise found
                buffer, batch = found
                yield batch
                free.put(buffer)
        finally:
            stop.set()
            free.put(None)  # wakes the thread where it waits
            thread.join()

    def _run(
        self,
        free: Queue[Buffer | None],
        filled: Queue[tuple[Buffer, Batch] | BaseException | None],
        stop: threading.Event,
    ) -> None:
        try:
            for number in range(len(self._parts)):
                buffer = free.get()
                if buffer is None or stop.is_set():
                    return
                filled.put((buffer, self._fill(number, buffer)))
        except BaseException as error:  # whatever it is, the consumer has to see it
            filled.put(error)
        else:
            filled.put(None)

    def _fill(self, number: int, buffer: Buffer) -> Batch:
        ids = self._parts[number]
        first = number * self._size
        rows = self._rows[first : first + len(ids)]
        if self._framed:
            longest = int(rows.max())
            outs = [buffer[clip, :count] for clip, count in enumerate(rows.tolist())]
            values = buffer[: len(ids), :longest]
            for clip, count in enumerate(rows.tolist()):
                values[clip, count:] = 0
        else:
            outs = [buffer[clip : clip + 1] for clip in range(len(ids))]
            values = buffer[: len(ids)]
        self._space.read_into(ids, self._array, outs)
        return Batch(ids, values, rows)

    def _checked(self, buffer: Buffer) -> Buffer:
        fits = len(buffer.shape) == len(self.shape) and all(
            has >= need for has, need in zip(buffer.shape, self.shape, strict=True)
        )
        row = len(self._space.geometry(self._array).row_shape)
        same = buffer.shape[-row:] == self.shape[-row:]
        if not (fits and same and buffer.dtype == self.dtype and buffer.flags.c_contiguous):
            raise ConfigError(
                f"the buffer for {self._array} is {buffer.dtype} {buffer.shape}; batches of these clips need "
                f"{self.dtype} {self.shape} or more clips and frames, C-contiguous"
            )
        return buffer
