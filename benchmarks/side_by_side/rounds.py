"""Rounds that take every side in turn, and ratios between sides. Measures CPU-seconds, never wall time."""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Rows = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Bar:
    """The median of `over` divided by that of `under`, round by round, and what it has to hold."""

    over: str
    under: str
    at_least: float | None = None
    at_most: float | None = None
    aim: float | None = None

    def judge(self, rows: Rows) -> dict[str, Any]:
        """Median, extremes and whether it is held."""
        ratios = [over / under for over, under in zip(rows[self.over], rows[self.under], strict=True)]
        median = statistics.median(ratios)
        held = (self.at_least is None or median >= self.at_least) and (
            self.at_most is None or median <= self.at_most
        )
        bounds = {"at_least": self.at_least, "at_most": self.at_most, "aim": self.aim}
        return {
            "median": round(median, 4),
            "low": round(min(ratios), 4),
            "high": round(max(ratios), 4),
            **{name: value for name, value in bounds.items() if value is not None},
            "held": held,
        }


def interleaved(sides: Mapping[str, Callable[[], object]], rounds: int, seed: int = 0) -> Rows:
    """CPU-seconds of this process for each side and round, in an order shuffled anew; one round before
    that is not counted."""
    rows: Rows = {name: [] for name in sides}
    order = random.Random(seed)
    for number in range(-1, rounds):
        names = list(sides)
        order.shuffle(names)
        for name in names:
            gc.collect()
            start = time.process_time()
            sides[name]()
            if number >= 0:
                rows[name].append(round(time.process_time() - start, 4))
    return rows


def options_of(doc: str | None, **numbers: int) -> argparse.Namespace:
    """--json, --seed and some further whole numbers with their defaults."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object, raw rows included")
    for name, default in {"seed": 0, **numbers}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def report(
    name: str,
    options: argparse.Namespace,
    rows: Rows,
    bars: Mapping[str, Bar],
    facts: Mapping[str, Any],
    checks: Mapping[str, bool],
    unit: str = "CPU-seconds by round",
) -> None:
    """Print one JSON object, or lines to read. Exit code 1 where a check of equality fails."""
    settings = {key: value for key, value in vars(options).items() if key != "json"}
    judged = {title: bar.judge(rows) for title, bar in bars.items()}
    found = {
        "benchmark": name,
        "settings": settings,
        "bars": judged,
        "facts": dict(facts),
        "checks": dict(checks),
        "rows": rows,
        "unit_of_rows": unit,
        "machine": machine(),
    }
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        for title, one in judged.items():
            print(f"{title}: {one['median']:.3f} ({one['low']:.3f} to {one['high']:.3f}) held: {one['held']}")
        for title, value in {**facts, **checks}.items():
            print(f"{title}: {value}")
    if not all(checks.values()):
        raise SystemExit(1)


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was."""
    import torch

    model = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cpu": model[0].partition(": ")[2] if model else "unknown",
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _lines(path: str) -> Sequence[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
