"""Paired ratios: in each round every way does the same work, in an order shuffled anew. Quartiles of the
rounds' ratios mean something on a loaded machine; seconds do not."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side.rounds import machine

Seconds = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Hold:
    """What a figure has to hold, and what is hoped for."""

    at_least: float | None = None
    at_most: float | None = None
    aim: float | None = None


def timed_rounds(
    rounds: int, ways: Callable[[int], Mapping[str, Callable[[], object]]], seed: int, before: Any = None
) -> Seconds:
    """Wall seconds of each way in each round; `before` is called before each, untimed."""
    rng = np.random.default_rng(seed)
    seconds: Seconds = {}
    for number in range(rounds):
        round_ways = ways(number)
        for name in rng.permutation(list(round_ways)).tolist():
            if before is not None:
                before()
            start = time.perf_counter()
            round_ways[name]()
            seconds.setdefault(name, []).append(time.perf_counter() - start)
    return seconds


def evict(folder: Path) -> None:
    """Drop the pages of a folder's files from the page cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def quartiles(over: Sequence[float], under: Sequence[float]) -> dict[str, float]:
    """p25, p50 and p75 of `over` / `under`, round by round."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    low, middle, high = (
        statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    )
    return {"p25": round(low, 4), "p50": round(middle, 4), "p75": round(high, 4)}


def options_of(doc: str | None, **numbers: int) -> argparse.Namespace:
    """--json, --seed and whole numbers with their defaults."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object, raw rows included")
    for name, default in {"seed": 0, **numbers}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    return parser.parse_args()


def report(
    name: str,
    options: argparse.Namespace,
    ratios: Mapping[str, Mapping[str, float]],
    holds: Mapping[str, Hold],
    rows: Mapping[str, Any],
    **facts: Any,
) -> None:
    """Print one JSON object, or lines to read. A figure is the p50 of its ratios."""
    judged = {
        title: {**one, **_judged(one["p50"], holds.get(title, Hold()))} for title, one in ratios.items()
    }
    found = {
        "benchmark": name,
        "settings": {key: value for key, value in vars(options).items() if key != "json"},
        "ratios": judged,
        "facts": facts,
        "rows": rows,
        "machine": machine(),
    }
    if options.json:
        print(json.dumps(found))
        return
    for title, one in judged.items():
        bounds = ", ".join(
            f"{key} {one[key]}" for key in ("at_least", "at_most", "aim", "held") if key in one
        )
        print(f"{title:48} {one['p50']:.3f} ({one['p25']:.3f} to {one['p75']:.3f})  {bounds}")
    for key, value in facts.items():
        print(f"{key}: {value}")


def _judged(value: float, hold: Hold) -> dict[str, Any]:
    bounds = {"at_least": hold.at_least, "at_most": hold.at_most, "aim": hold.aim}
    said = {key: bound for key, bound in bounds.items() if bound is not None}
    if hold.at_least is None and hold.at_most is None:
        return said
    least = hold.at_least is None or value >= hold.at_least
    return {**said, "held": least and (hold.at_most is None or value <= hold.at_most)}
