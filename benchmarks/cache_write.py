"""Writing clips whole, publish included: this cache at each durability beside one NumPy file a clip.

    python benchmarks/cache_write.py --json

In each round every way writes the same clips to a new place, in an order shuffled anew; what was written is
synced before the next, untimed. With two processes each writes half of the clips into the same place.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cache_world.clips import Clips, allocated, files_in, make_clips, new_space, payload, write_cache
from cache_world.formats import write_h5, write_npy, write_zarr
from cache_world.paired import Hold, options_of, quartiles, report, timed_rounds

from emo.cache import open_cache
from emo.config.cache import Durability

HOLDS = {
    "npy per clip / cache, none": Hold(at_least=0.75),
    "zarr group per clip / cache, none": Hold(at_least=10),
    "allocated / payload": Hold(at_most=1.03),
    "files / (bytes / 64 MiB + 50)": Hold(at_most=1.0),
}


def write_part(path: Path, clips: Clips, durability: Durability, numbers: range) -> None:
    """One process's part of a cache."""
    write_cache(open_cache(path, "a")["bench"], clips, durability, numbers)


def in_two(part: Callable[..., None], *args: object, clips: Clips) -> None:
    """Two forked processes, each with half of the clips."""
    fork = multiprocessing.get_context("fork")
    halves = [range(half, len(clips), 2) for half in (0, 1)]
    processes = [fork.Process(target=part, args=(*args, numbers)) for numbers in halves]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit("a writing process failed")


def ways(folder: Path, clips: Clips, number: int) -> dict[str, Callable[[], object]]:
    """Each way to write, to a place of this round."""
    place = folder / str(number)
    place.mkdir()

    def new(name: str) -> Path:
        new_space(place / name, clips[0].shape[1])
        return place / name

    found: dict[str, Callable[[], object]] = {
        "npy per clip": partial(write_npy, place / "npy", clips),
        "h5py per clip": partial(write_h5, place / "clips.h5", clips),
        "zarr group per clip": partial(write_zarr, place / "groups.zarr", clips),
        "npy per clip, two processes": partial(in_two, write_npy, place / "npy2", clips, clips=clips),
    }
    for durability in ("none", "batch", "record"):
        path = new(f"{durability}.zarr")
        found[f"cache, {durability}"] = partial(write_part, path, clips, durability, range(len(clips)))
    two = new("two.zarr")
    found["cache, none, two processes"] = partial(in_two, write_part, two, clips, "none", clips=clips)
    return found


def main() -> None:
    """Write, weigh, report."""
    options = options_of(__doc__, clips=200, dim=1024, rounds=4)
    clips = make_clips(options.clips, options.dim, options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = timed_rounds(
            options.rounds, lambda number: ways(folder, clips, number), options.seed, os.sync
        )
        held = open_cache(folder / "0" / "two.zarr")["bench"]
        if sorted(held, key=int) != [str(number) for number in range(len(clips))]:
            raise SystemExit("two processes lost clips")
        stored = folder / "0" / "none.zarr"
        weight, files = allocated(stored) / payload(clips), files_in(stored)
    ratios = {
        f"{way} / cache, none": quartiles(seconds[way], seconds["cache, none"])
        for way in ("npy per clip", "h5py per clip", "zarr group per clip")
    }
    two = "npy per clip, two processes / cache, none, two processes"
    ratios[two] = quartiles(seconds["npy per clip, two processes"], seconds["cache, none, two processes"])
    ratios["allocated / payload"] = quartiles([weight], [1.0])
    ratios["files / (bytes / 64 MiB + 50)"] = quartiles([files], [payload(clips) / (64 << 20) + 50])
    speed = {
        way: round(len(clips) / statistics.median(took))
        for way, took in seconds.items()
        if way.startswith("cache")
    }
    report(
        "cache_write",
        options,
        ratios,
        HOLDS,
        seconds,
        unit="seconds for all clips",
        clips_per_second=speed,
        payload_mib=payload(clips) >> 20,
    )


if __name__ == "__main__":
    main()
