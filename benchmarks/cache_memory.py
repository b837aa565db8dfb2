"""Memory of the process over 10,000 random reads, of this cache and of h5py on the same clips.

    python benchmarks/cache_memory.py --json

Anonymous resident memory (RssAnon) after every tenth of the reads, less what it was after the first tenth:
flat means that nothing gathers. Pages of files that are mapped or cached are not the process's own.
"""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import h5py
import numpy as np
from cache_world.clips import make_clips, new_space, write_cache
from cache_world.formats import Read, write_h5
from cache_world.paired import Hold, options_of, report

from emo.cache import open_cache

PARTS = 10
HOLDS = {"cache: MiB gained": Hold(at_most=8.0)}


def own_memory() -> float:
    """RssAnon in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def gained(read: Read, count: int, reads: int, seed: int) -> list[float]:
    """MiB over what it was after the first tenth of the reads, after each later tenth."""
    rng = np.random.default_rng(seed)
    after = []
    for _ in range(PARTS):
        for number in rng.integers(0, count, reads // PARTS).tolist():
            read([number])
        gc.collect()
        after.append(own_memory())
    return [round(one - after[0], 2) for one in after[1:]]


def main() -> None:
    """One after the other."""
    options = options_of(__doc__, clips=300, dim=1024, reads=10_000)
    clips = make_clips(options.clips, options.dim, options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_cache(new_space(folder / "cache.zarr", options.dim), clips)
        write_h5(folder / "clips.h5", clips)
        space, file = open_cache(folder / "cache.zarr")["bench"], h5py.File(folder / "clips.h5", "r")
        rows = {
            "cache": gained(
                lambda batch: [space.read(str(number), "frames") for number in batch] and None,
                len(clips),
                options.reads,
                options.seed,
            ),
            "h5py": gained(
                lambda batch: [file[str(number)][:] for number in batch] and None,
                len(clips),
                options.reads,
                options.seed,
            ),
        }
    ratios = {
        f"{way}: MiB gained": {"p25": min(one), "p50": one[-1], "p75": max(one)} for way, one in rows.items()
    }
    report("cache_memory", options, ratios, HOLDS, rows, unit="MiB; p50 is at the end, p25 and p75 extremes")


if __name__ == "__main__":
    main()
