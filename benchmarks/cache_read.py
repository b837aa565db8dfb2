"""Reading batches of random clips, warm and cold: this cache beside other ways to keep clips, in one run.

    python benchmarks/cache_read.py --json
    python benchmarks/cache_read.py --clips 1500 --batches 100

In each batch every way reads the same clips into the same reused buffer; what each reads is compared with
what was written before anything is timed. Cold means that the files' pages were dropped before.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from cache_world.clips import Clips, make_clips, new_space, write_cache
from cache_world.formats import Buffer, Read, ways_to_read
from cache_world.paired import Hold, evict, options_of, quartiles, report, timed_rounds

from emo.cache.buffers import aligned_empty

BATCH = 32
OURS, UNCHECKED = "cache", "cache without crc"
COLD = (OURS, "raw preadv", "h5py per clip", "npy per clip")
HOLDS = {
    "warm: h5py per clip / cache": Hold(at_least=2.0, aim=3.0),
    "warm: copy / cache": Hold(at_least=0.45),
    "warm: copy / cache without crc": Hold(at_least=0.60, aim=0.85),
    "warm: raw memmap / cache": Hold(at_least=0.70),
    "warm: raw memmap / cache without crc": Hold(at_least=0.85),
    "warm: plain zarr, same files / cache": Hold(at_least=10),
    "warm: h5py per clip / plain zarr, same files": Hold(at_least=0.12),
    "cold: h5py per clip / cache": Hold(at_least=1.8),
    "cold: raw preadv / cache": Hold(at_least=0.85),
}


def batches(
    ways: Mapping[str, Read], count: int, seed: int
) -> Callable[[int], dict[str, Callable[[], None]]]:
    """For a round number, each way with that round's random clips."""

    def of(number: int) -> dict[str, Callable[[], None]]:
        batch = np.random.default_rng([seed, number]).choice(count, min(BATCH, count), replace=False).tolist()
        return {name: lambda read=read: read(batch) for name, read in ways.items()}  # type: ignore[misc]

    return of


def check_equal(ways: Mapping[str, Read], clips: Clips, out: Buffer) -> None:
    """SystemExit where a way reads other values than were written."""
    for name, read in ways.items():
        out[:] = 0
        read(range(3))
        for row in range(3):
            if not np.array_equal(out[row, : len(clips[row])], clips[row]):
                sys.exit(f"{name} reads other values than were written")


def main() -> None:
    """Write every format, read batches, report."""
    options = options_of(__doc__, clips=400, dim=1024, batches=40, cold_batches=10)
    clips = make_clips(options.clips, options.dim, options.seed)
    out = aligned_empty((BATCH, max(map(len, clips)), options.dim), np.dtype(np.float16))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        space = new_space(folder / "cache.zarr", options.dim)
        write_cache(space, clips)
        ways, absent = ways_to_read(folder, space, clips, out)
        check_equal(ways, clips, out)
        warm = timed_rounds(options.batches, batches(ways, len(clips), options.seed), options.seed)
        cold_ways = {way: ways[way] for way in COLD}
        cold = timed_rounds(
            options.cold_batches,
            batches(cold_ways, len(clips), options.seed + 1),
            options.seed,
            lambda: evict(folder),
        )
    ratios = {
        f"warm: {way} / {own}": quartiles(warm[way], warm[own])
        for own in (OURS, UNCHECKED)
        for way in warm
        if way not in (OURS, UNCHECKED)
    }
    same = "plain zarr, same files"
    ratios[f"warm: h5py per clip / {same}"] = quartiles(warm["h5py per clip"], warm[same])
    ratios |= {f"cold: {way} / cache": quartiles(cold[way], cold[OURS]) for way in COLD[1:]}
    rows = {"warm": warm, "cold": cold}
    report("cache_read", options, ratios, HOLDS, rows, unit="seconds a batch", absent=absent)


if __name__ == "__main__":
    main()
