"""A whole epoch through loaders: the cache's ring, HDF5 in the same ring, and a DataLoader on the cache.

    python benchmarks/cache_loader.py --json

The ring is one thread that reads ahead into three reused buffers. The DataLoader has one worker process,
whose start counts. Every loader gives all clips in the same shuffled order.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import torch
from cache_world.clips import Clips, make_clips, new_space, write_cache
from cache_world.formats import Read, hdf5
from cache_world.paired import Hold, options_of, quartiles, report
from torch.utils.data import DataLoader, Dataset

from emo.cache import Space, open_cache
from emo.cache.buffers import aligned_empty

BATCH, BUFFERS = 32, 3
HOLDS = {
    "h5py in the same ring / ring": Hold(at_least=3),
    "DataLoader, one worker / ring": Hold(at_least=3),
}


class Padded(Dataset[Any]):
    """Batches of the cache as fresh padded tensors, as a DataLoader's worker makes them."""

    def __init__(self, space: Space, ids: list[str]) -> None:
        self._space, self._ids = space, ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitems__(self, rows: list[int]) -> torch.Tensor:
        """(B, T, dim) of the clips at `rows`."""
        (batch,) = self._space.batches([self._ids[row] for row in rows], "frames", size=len(rows)).here()
        return torch.from_numpy(batch.values)


def as_is(batch: torch.Tensor) -> torch.Tensor:
    """The batch."""
    return batch


def h5_ring(reads: list[Read], buffers: list[Any], parts: list[list[int]], clips: Clips) -> Iterator[Any]:
    """As the cache's ring, with another reader."""
    free: Queue[int] = Queue()
    filled: Queue[Any] = Queue()
    for number in range(len(buffers)):
        free.put(number)

    def run() -> None:
        for part in parts:
            number = free.get()
            longest = max(len(clips[one]) for one in part)
            for row, one in enumerate(part):
                buffers[number][row, len(clips[one]) : longest] = 0
            reads[number](part)
            filled.put((number, buffers[number][: len(part), :longest]))
        filled.put(None)

    thread = threading.Thread(target=run)
    thread.start()
    while (found := filled.get()) is not None:
        yield found[1]
        free.put(found[0])
    thread.join()


def epoch(batches: Iterator[Any]) -> float:
    """Seconds to take every batch and one value of each."""
    start = time.perf_counter()
    for batch in batches:
        float(batch[0, 0, 0])
    return time.perf_counter() - start


def main() -> None:
    """Take turns."""
    options = options_of(__doc__, clips=400, dim=1024, rounds=7)
    clips = make_clips(options.clips, options.dim, options.seed)
    longest = max(map(len, clips))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_cache(new_space(folder / "cache.zarr", options.dim), clips)
        space = open_cache(folder / "cache.zarr")["bench"]
        buffers = [aligned_empty((BATCH, longest, options.dim), np.dtype(np.float16)) for _ in range(BUFFERS)]
        reads = [hdf5(folder, clips, buffer) for buffer in buffers]
        seconds: dict[str, list[float]] = {"ring": [], "h5": [], "DataLoader": []}
        for number in range(options.rounds):
            rng = np.random.default_rng([options.seed, number])
            order = rng.permutation(len(clips)).tolist()
            ids = [str(one) for one in order]
            parts = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
            for way in rng.permutation(list(seconds)).tolist():
                if way == "ring":
                    took = epoch(
                        batch.values for batch in space.batches(ids, "frames", size=BATCH).ahead(BUFFERS)
                    )
                elif way == "h5":
                    took = epoch(h5_ring(reads, buffers, parts, clips))
                else:
                    loader = DataLoader(Padded(space, ids), BATCH, num_workers=1, collate_fn=as_is)
                    took = epoch(iter(loader))
                seconds[way].append(took)
    ratios = {
        "h5py in the same ring / ring": quartiles(seconds["h5"], seconds["ring"]),
        "DataLoader, one worker / ring": quartiles(seconds["DataLoader"], seconds["ring"]),
    }
    report("cache_loader", options, ratios, HOLDS, seconds, unit="seconds an epoch")


if __name__ == "__main__":
    main()
