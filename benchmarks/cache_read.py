"""Reading and writing features: this cache beside HDF5, NumPy files and a plain copy, in one run.

    python benchmarks/cache_read.py --json
    python benchmarks/cache_read.py --clips 1500 --dim 1024 --batches 40

Only ratios mean anything: in each batch every way reads the same random clips into the same reused buffer,
in an order shuffled anew, and a figure is the median (p25, p75) of the batches' ratios. `batch_seconds`
keeps the raw rows. Values are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from emo.cache import Space, open_cache
from emo.cache.columns import append_values, index_columns
from emo.cache.describe import cache_clips, cache_info
from emo.cache.format import stamped
from emo.cache.publish import column_values
from emo.cache.rows import Place, Row
from emo.cache.state import grown, load_state, write_state
from emo.config.cache import Durability
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

Read = Callable[[Sequence[int]], None]
BATCH = 32
BARS = {
    "warm: h5py per clip / cache": 2.0,
    "warm: copy / cache": 0.45,
    "cold: h5py per clip / cache": 1.8,
    "write none: npy per clip / cache": 0.75,
}


def make_clips(count: int, dim: int, seed: int) -> list[NDArray[np.float16]]:
    """(T, dim) float16 with T from 50 to 400, as of a speech encoder at 50 Hz."""
    rng = np.random.default_rng(seed)
    pool = rng.normal(size=(2_000, dim)).astype(np.float16)
    lengths = rng.integers(50, 401, count)
    starts = rng.integers(0, len(pool) - lengths)
    return [pool[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def spec_of(dim: int) -> FeatureSpec:
    """The spec of the made clips."""
    layout = ArrayLayout(kind="frames", dim=dim)
    return FeatureSpec(encoder="bench", weights={}, recipe={}, recipe_version=1, arrays={"frames": layout})


def write_cache(space: Space, clips: Sequence[NDArray[Any]], durability: Durability) -> None:
    """Store the clips as ids `0`, `1`, ... and publish them."""
    with space.writer(durability) as writer:
        for number, clip in enumerate(clips):
            writer.put(Record(clip_id=str(number), arrays={"frames": clip}))


def write_npy(folder: Path, clips: Sequence[NDArray[Any]]) -> None:
    """One file a clip, each under its name by rename."""
    folder.mkdir()
    for number, clip in enumerate(clips):
        with (folder / "part").open("wb") as file:
            np.save(file, clip)
        (folder / "part").rename(folder / f"{number}.npy")


def write_h5(path: Path, clips: Sequence[NDArray[Any]]) -> None:
    """One dataset a clip."""
    with h5py.File(path, "w") as file:
        for number, clip in enumerate(clips):
            file[str(number)] = clip


def readers(folder: Path, space: Space, clips: Sequence[NDArray[Any]], out: NDArray[Any]) -> dict[str, Read]:
    """Each way to read a batch into the padded buffer (B, T, dim)."""
    file = h5py.File(folder / "clips.h5", "r")

    def copy(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            out[row, : len(clips[number])] = clips[number]

    def cache(batch: Sequence[int]) -> None:
        outs = [out[row, : len(clips[number])] for row, number in enumerate(batch)]
        space.read_into([str(number) for number in batch], "frames", outs)

    def npy(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            out[row, : len(clips[number])] = np.load(folder / "npy" / f"{number}.npy")

    def hdf5(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            dataset = file[str(number)]
            dataset.read_direct(out, dest_sel=np.s_[row, : len(clips[number])])

    return {"copy": copy, "cache": cache, "npy per clip": npy, "h5py per clip": hdf5}


def evict(folder: Path) -> None:
    """Drop the files' pages from the page cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def time_batches(
    ways: dict[str, Read], count: int, batches: int, seed: int, before: Callable[[], None]
) -> dict[str, list[float]]:
    """Seconds of each way on each batch."""
    rng = np.random.default_rng(seed)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(batches):
        batch = rng.choice(count, BATCH, replace=False).tolist()
        for name in rng.permutation(list(ways)).tolist():
            before()
            start = time.perf_counter()
            ways[name](batch)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(over: Sequence[float], under: Sequence[float]) -> dict[str, float]:
    """Quartiles of the paired ratios."""
    low, middle, high = statistics.quantiles([a / b for a, b in zip(over, under, strict=True)], n=4)
    return {"p25": round(low, 3), "p50": round(middle, 3), "p75": round(high, 3)}


def check_equal(ways: dict[str, Read], clips: Sequence[NDArray[Any]], out: NDArray[Any]) -> None:
    """SystemExit where a way reads other values than were written."""
    for name, read in ways.items():
        out[:] = 0
        read(range(3))
        for row in range(3):
            if not np.array_equal(out[row, : len(clips[row])], clips[row]):
                sys.exit(f"{name} reads other values than were written")


def bench_reads(folder: Path, clips: Sequence[NDArray[Any]], batches: int) -> dict[str, Any]:
    """Warm and cold batches of random clips."""
    space = open_cache(folder / "cache.zarr", "a").create(spec_of(clips[0].shape[1]))
    write_cache(space, clips, "none")
    write_npy(folder / "npy", clips)
    write_h5(folder / "clips.h5", clips)
    out = np.zeros((BATCH, max(map(len, clips)), clips[0].shape[1]), np.float16)
    ways = readers(folder, space, clips, out)
    check_equal(ways, clips, out)
    warm = time_batches(ways, len(clips), batches, 1, lambda: None)
    del ways["copy"]
    cold = time_batches(ways, len(clips), max(5, batches // 4), 2, lambda: evict(folder))
    return {
        "ratios": {
            "warm: h5py per clip / cache": ratio(warm["h5py per clip"], warm["cache"]),
            "warm: npy per clip / cache": ratio(warm["npy per clip"], warm["cache"]),
            "warm: copy / cache": ratio(warm["copy"], warm["cache"]),
            "cold: h5py per clip / cache": ratio(cold["h5py per clip"], cold["cache"]),
        },
        "batch_seconds": {"warm": warm, "cold": cold},
    }


def bench_writes(folder: Path, clips: Sequence[NDArray[Any]], repeats: int) -> dict[str, Any]:
    """The same clips written whole, publish included."""
    seconds: dict[str, list[float]] = {"npy": [], "none": [], "batch": []}
    for repeat in range(repeats):
        for name in np.random.default_rng(repeat).permutation(list(seconds)).tolist():
            path = folder / f"{name}{repeat}"
            space = open_cache(path, "a").create(spec_of(clips[0].shape[1])) if name != "npy" else None
            start = time.perf_counter()
            if space is None:
                write_npy(path, clips)
            else:
                write_cache(space, clips, name)
            seconds[name].append(time.perf_counter() - start)
    return {
        "ratios": {"write none: npy per clip / cache": ratio(seconds["npy"], seconds["none"])},
        "batch_clips_per_second": len(clips) / statistics.median(seconds["batch"]),
        "write_seconds": seconds,
    }


def bench_open(folder: Path, records: int) -> dict[str, float]:
    """Seconds until a clip of an index of `records` rows is found, until all are counted and listed.

    The rows name no data."""
    space = open_cache(folder / "open.zarr", "a").create(spec_of(8))
    paths, state = space._paths, load_state(space._paths)
    rows = [
        Row(
            clip_id=f"sample_{number:08d}",
            status="ok",
            reason="",
            meta="{}",
            input_sha256=bytes(32),
            places={"frames": Place(number, 1, 0)},
        )
        for number in range(records)
    ]
    digests = {
        column.name: append_values(
            paths, column, state.digests[column.name], column_values(column, rows), durable=False
        )
        for column in index_columns(["frames"])
    }
    grew = grown(state, dict.fromkeys([*digests, "frames"], records))
    write_state(paths, type(state)(state.spec, grew.members, digests), durable=False)
    for name in [*digests, "frames"]:
        (paths.folder / name / "zarr.json").write_bytes(stamped(grew.members[name]))
    last = f"sample_{records - 1:08d}"
    if last not in open_cache(folder / "open.zarr")["bench"].infos():
        sys.exit("the last record is not in the index")
    return {
        "records": records,
        "seconds": _median_seconds(lambda: open_cache(folder / "open.zarr")["bench"].info(last)),
        "info_seconds": _median_seconds(lambda: cache_info(open_cache(folder / "open.zarr"))),
        "ls_seconds": _median_seconds(lambda: deque(cache_clips(open_cache(folder / "open.zarr")), maxlen=0)),
    }


def _median_seconds(work: Callable[[], object], times: int = 3) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return round(statistics.median(seconds), 3)


def main() -> None:
    """Run all parts; the last line is one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--open-records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object, raw rows included")
    options = parser.parse_args()
    clips = make_clips(options.clips, options.dim, options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "read").mkdir()
        reads = bench_reads(folder / "read", clips, options.batches)
        writes = bench_writes(folder, clips, 4)
        opened = bench_open(folder, options.open_records)
    ratios = {**reads.pop("ratios"), **writes.pop("ratios")}
    found = {
        "benchmark": "cache_read",
        "settings": vars(options),
        "ratios": ratios,
        "bars": {name: {"at_least": bar, "met": ratios[name]["p50"] >= bar} for name, bar in BARS.items()},
        "open": opened,
        **writes,
        **reads,
    }
    if options.json:
        print(json.dumps(found))
        return
    for name, quartiles in ratios.items():
        print(f"{name:36} {quartiles['p50']:.2f} ({quartiles['p25']:.2f} to {quartiles['p75']:.2f})")
    print(f"open {opened['records']} records: {opened['seconds']} s, info {opened['info_seconds']} s")
    print(f"list them: {opened['ls_seconds']} s")
    print(f"write batch: {writes['batch_clips_per_second']:.0f} clips/s")


if __name__ == "__main__":
    main()
