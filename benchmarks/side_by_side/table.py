"""The README's table of bars, made of the JSON objects that the benchmarks printed. Measures nothing.

python benchmarks/side_by_side/table.py benchmarks/results/train_*.json benchmarks/results/label_scoring.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from emo.evaluation.tables import markdown_table

HEADERS = ("benchmark", "ratio", "median", "lowest to highest", "to hold", "aim")


def rows_of(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """A line for each ratio that has something to hold."""
    lines = []
    for title, bar in result["bars"].items():
        bound = (
            f"≥ {bar['at_least']:g}"
            if "at_least" in bar
            else f"≤ {bar['at_most']:g}"
            if "at_most" in bar
            else ""
        )
        if bound:
            spread = f"{bar['low']:.2f} to {bar['high']:.2f}"
            aim = f"{bar['aim']:g}" if "aim" in bar else ""
            lines.append((result["benchmark"], title, f"{bar['median']:.3f}", spread, bound, aim))
    return lines


def note(results: list[dict[str, Any]]) -> str:
    """Where and when they were measured."""
    machine = results[0]["machine"]
    dates = sorted({result["machine"]["date"] for result in results})
    seeds = {result["benchmark"]: result["settings"]["seed"] for result in results}
    said = ", ".join(f"{name} {seed}" for name, seed in seeds.items())
    return (
        f"Measured {' and '.join(dates)} on {machine['cores']} shared cores ({machine['cpu']}), torch "
        f"{machine['torch']}, one thread; seeds: {said}; `python benchmarks/NAME.py --json`."
    )


def main() -> None:
    """Print the table of the files named on the command line."""
    results = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]
    print(markdown_table(HEADERS, [row for result in results for row in rows_of(result)]))
    print(note(results))


if __name__ == "__main__":
    main()
