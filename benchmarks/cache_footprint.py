"""What a cache takes: bytes on the disk beside what it holds, and memory over many random reads.

    python benchmarks/cache_footprint.py --json
    python benchmarks/cache_footprint.py --megabytes 1100 --reads 10000

`allocated` is what the disk gives to every file of the cache and of the folder beside it, `apparent` what
a copy that knows no sparse files would write, each over the bytes of the features; both after a clean
close, and again once sealed. Memory is the resident set of a process of its own, after the first tenth of
the reads and at its largest afterwards.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from emo.cache import Space, open_cache
from emo.cache.seal import seal
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

DIM = 1024
BARS = {"allocated / payload": 1.03}
READS = """
import random, sys
from emo.cache import open_cache

def resident():
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("VmRSS")]
    return int(line.split()[1])

space, count = open_cache(sys.argv[1])["bench"], int(sys.argv[2])
ids, seen, rng = list(space), [], random.Random(0)
for number in range(count):
    space.read(rng.choice(ids), "frames")
    if number % (count // 10) == count // 10 - 1:
        seen.append(resident())
print(seen[0], max(seen[1:]))
"""


def fill(space: Space, megabytes: int) -> int:
    """Store clips of 50 to 400 frames until they hold so much; the bytes of their features."""
    rng = np.random.default_rng(0)
    pool = rng.normal(size=(2_000, DIM)).astype(np.float16)
    payload = number = 0
    with space.writer("none") as writer:
        while payload < megabytes * 1_000_000:
            length = int(rng.integers(50, 401))
            start = int(rng.integers(0, len(pool) - length))
            arrays = {"frames": pool[start : start + length], "utterance": pool[start]}
            writer.put(Record(clip_id=f"set/{number}", arrays=arrays))
            payload += sum(array.nbytes for array in arrays.values())
            number += 1
    return payload


def on_disk(root: Path) -> dict[str, int]:
    """Bytes that the files below a folder take and claim."""
    stats = [path.stat() for path in root.rglob("*") if path.is_file()]
    return {
        "allocated": sum(stat.st_blocks * 512 for stat in stats),
        "apparent": sum(stat.st_size for stat in stats),
    }


def measure(root: Path, megabytes: int, reads: int) -> dict[str, Any]:
    """Every figure, as JSON."""
    layouts = {name: ArrayLayout(kind=name, dim=DIM) for name in ("frames", "utterance")}
    spec = FeatureSpec(encoder="bench", weights={}, recipe={}, recipe_version=1, arrays=layouts)
    path = root / "features.zarr"
    payload = fill(open_cache(path, "a").create(spec), megabytes)
    closed = on_disk(root)
    sealed_shards = len(list(seal(open_cache(path, "a"))))
    sealed = on_disk(root)
    command = [sys.executable, "-c", READS, str(path), str(reads)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    first, largest = (int(kilobytes) for kilobytes in told)
    return {
        "payload_bytes": payload,
        "allocated / payload": round(closed["allocated"] / payload, 4),
        "apparent / payload": round(closed["apparent"] / payload, 4),
        "sealed shards": sealed_shards,
        "sealed: allocated / payload": round(sealed["allocated"] / payload, 4),
        "sealed: apparent / payload": round(sealed["apparent"] / payload, 4),
        "reads": reads,
        "resident_kb_after_a_tenth": first,
        "resident_kb_at_most_later": largest,
        "resident growth": round(largest / first - 1, 4),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=1100)
    parser.add_argument("--reads", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="One JSON object.")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.megabytes, options.reads)
    found |= {"bars": BARS, "seconds": round(time.monotonic() - started, 1)}
    if options.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
