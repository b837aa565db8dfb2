"""Memory stays flat over ten thousand random reads: nothing of what was read is kept."""

import subprocess
import sys

import numpy as np

from emo.cache import open_cache
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

MOST_GROWTH_KB = 4_096  # of 120 MB that are read
READ = """
import random, sys
from emo.cache import open_cache

def resident():
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("VmRSS")]
    return int(line.split()[1])

space, rng = open_cache(sys.argv[1])["hubert"], random.Random(0)
ids = list(space)
for number in range(11_000):
    space.read(rng.choice(ids), "frames")
    if number == 1_000:
        first = resident()
print(first, resident())
"""


def test_ten_thousand_random_reads_leave_no_memory_behind(tmp_path):
    spec = FeatureSpec(
        encoder="hubert",
        weights={},
        recipe={},
        recipe_version=1,
        arrays={"frames": ArrayLayout(kind="frames", dim=64)},
    )
    values = np.random.default_rng(0).normal(size=(150, 64))
    with open_cache(tmp_path / "f.zarr", "a").create(spec, shard_bytes=100_000).writer("none") as writer:
        for number in range(300):
            writer.put(Record(clip_id=str(number), arrays={"frames": values[: 50 + number % 100]}))
    ran = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "f.zarr")], capture_output=True, text=True, check=True
    )
    first, last = map(int, ran.stdout.split())
    assert last - first < MOST_GROWTH_KB
