"""How much of what a speech encoder computes is padding, by how clips are put into batches. Pure counting.

    python benchmarks/extract_padding.py --json

Lengths are log-normal, cut to 0.6 to 20 seconds. `buckets` is `emo.extractors.waveform.buckets`, over all
clips and over calls of 32 clips each; `random` is what batches of 32 in the order they come would pad.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence

import numpy as np

from emo.extractors.waveform import buckets

RATE = 16_000
BATCH = 32
SHORTEST, LONGEST = 0.6, 20.0
MEDIAN, SPREAD = 3.5, 0.7  # seconds, and of the logarithm
BAR = 0.02


def clip_lengths(count: int, seed: int) -> list[int]:
    """Samples of each clip."""
    seconds = np.random.default_rng(seed).lognormal(np.log(MEDIAN), SPREAD, count)
    return [int(RATE * second) for second in np.clip(seconds, SHORTEST, LONGEST)]


def padding(lengths: Sequence[int], batches: Iterable[Sequence[int]]) -> tuple[float, int]:
    """The share of padding in all samples that run, and the number of batches."""
    sizes = [(len(rows), max(lengths[row] for row in rows)) for rows in batches]
    computed = sum(count * longest for count, longest in sizes)
    return 1 - sum(lengths) / computed, len(sizes)


def in_calls(lengths: Sequence[int]) -> Iterable[list[int]]:
    """Buckets within each call of BATCH clips, in the order they come."""
    for start in range(0, len(lengths), BATCH):
        for rows in buckets(lengths[start : start + BATCH], padded=True):
            yield [start + row for row in rows]


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=28_618)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    lengths = clip_lengths(told.clips, told.seed)
    together = [range(at, min(at + BATCH, len(lengths))) for at in range(0, len(lengths), BATCH)]
    ways = {
        "random": padding(lengths, together),
        "buckets of calls of 32": padding(lengths, in_calls(lengths)),
        "buckets of all": padding(lengths, buckets(lengths, padded=True)),
    }
    result = {
        "clips": told.clips,
        "seed": told.seed,
        "bar": BAR,
        "padding": {name: round(share, 4) for name, (share, _) in ways.items()},
        "clips_a_batch": {name: round(told.clips / count, 2) for name, (_, count) in ways.items()},
    }
    if told.json:
        print(json.dumps(result))
        return
    for name, (share, count) in ways.items():
        print(f"{name}: {100 * share:.2f} % padding, {told.clips / count:.1f} clips a batch")


if __name__ == "__main__":
    main()
