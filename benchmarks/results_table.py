"""The README's tables of results: rendered from committed JSON, checked, and one of them measured here.

    python benchmarks/results_table.py                  # write the tables into README.md
    python benchmarks/results_table.py --check          # exit 1 where README.md says something else
    python benchmarks/results_table.py --measure DIR    # the heads, into benchmarks/results/heads.json

Measured are `emo corpus render`, `extract`, `train-head`, `evaluate` and `report`, as a user types them, on a
small rendered corpus; what is rendered and extracted under DIR already is kept. The other tables are those of
benchmarks/demo_seeds.py and of the training benchmarks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import demo_seeds
from side_by_side import table as bars

from emo.evaluation.tables import markdown_table
from emo.heads.provenance import code_commit

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks/results"
CLIPS, SEEDS = 96, (0, 1, 2)
HEADS = ("attention", "concat")
ENCODERS = "hubert,mae,videomae,eva"


def measure(folder: Path, seeds: Sequence[int], clips: int = CLIPS) -> dict[str, Any]:
    """A row a head and seed of training, on one corpus."""
    _emo("corpus", "render", folder / "clips", "--clips", clips, "--seed", 0)
    cache = folder / "features.zarr"
    _emo("extract", folder / "clips", "--encoder", ENCODERS, "--preset", "tiny", "--cache", cache)
    where = ("--manifest", folder / "clips", "--cache", cache)
    rows, own = [], []
    for head in HEADS:
        for seed in seeds:
            run = folder / "runs" / f"{head}-{seed}"
            _emo("train-head", *where, "--head", head, "--seed", seed, "--out", run)
            found = json.loads(_emo("evaluate", "--model", run, *where, "--out", run / "test", "--json"))
            keys = ("n", "weighted_f1", "ci", "uar", "war", "invalid_rate")
            rows.append({"head": head, "seed": seed, **{key: found[key] for key in keys}})
            own.append(f"{head}-{seed}={run / 'test'}")
    told = json.loads(_emo("report", *own, "--board", "mer2023-semi", "--json"))
    beside = [row for row in told["boards"]["mer2023-semi"]["rows"] if row["yours"]]
    return {
        "schema_version": 1,
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} {platform.machine()} cores",
        "commit": code_commit(),
        "clips": clips,
        "seeds": list(seeds),
        "rows": rows,
        "placed_by_report": len(beside),
    }


def _emo(*words: object) -> str:
    """What the command prints; its notes go to our stderr."""
    command = [sys.executable, "-m", "emo", "-q", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def heads_table(result: Mapping[str, Any]) -> str:
    """A line a head, a column a seed."""
    lines = []
    for head in dict.fromkeys(row["head"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["head"] == head]
        scores = [row["weighted_f1"] for row in rows]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        lines.append(
            (
                head,
                *(f"{row['weighted_f1']:.3f} [{row['ci'][0]:.3f}, {row['ci'][1]:.3f}]" for row in rows),
                f"{statistics.mean(scores):.3f} ± {spread:.3f}",
                f"{statistics.mean(row['uar'] for row in rows):.3f}",
            )
        )
    headers = ("weighted F1 of a head", *(f"seed {seed}" for seed in result["seeds"]), "mean ± sd", "UAR")
    seeds = " ".join(map(str, result["seeds"]))
    note = (
        f"n = {result['rows'][0]['n']} test clips of one rendered corpus (`emo corpus render --clips "
        f"{result['clips']} --seed 0`), `tiny` features, seeds of training {seeds}; brackets: 95 % bootstrap "
        f"over speakers, of which there are few. Measured {result['date']} on {result['machine']} at commit "
        f"{str(result['commit'])[:7]}, with `python benchmarks/results_table.py --measure DIR`."
    )
    return f"{markdown_table(headers, lines)}\n{note}\n"


def _demo(result: dict[str, Any]) -> str:
    said = (
        "Weighted F1 on drawn people with the `tiny` preset: a check that the road works, no claim about "
        "real emotion."
    )
    return f"{said}\n\n{demo_seeds.table(result)}"


def _training(*results: dict[str, Any]) -> str:
    rows = [row for result in results for row in bars.rows_of(result)]
    return f"{markdown_table(bars.HEADERS, rows)}\n{bars.note(list(results))}\n"


TRAINING = ("train_memory", "train_packing", "train_speed", "train_tree", "label_scoring")
TABLES: Mapping[str, tuple[tuple[str, ...], Callable[..., str]]] = {
    "demo-results": (("demo_seeds",), _demo),
    "head-results": (("heads",), heads_table),
    "train-results": (TRAINING, _training),
}


def rendered(readme: str) -> str:
    """`readme` with every table between its marks as the committed JSON has it."""
    for name, (files, table) in TABLES.items():
        opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = readme.partition(opening)
        _, ended, after = rest.partition(closing)
        if not found or not ended:
            raise SystemExit(f"README.md has no marks {opening.strip()} and {closing}.")
        results = [json.loads((RESULTS / f"{file}.json").read_text(encoding="utf-8")) for file in files]
        readme = f"{before}{opening}{table(*results)}{closing}{after}"
    return readme


def main() -> None:
    """Render, check or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where README.md differs")
    parser.add_argument("--measure", type=Path, metavar="DIR", help="measure the table of heads anew")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--json", action="store_true", help="print the measured or committed table of heads")
    chosen = parser.parse_args()
    if chosen.measure:
        text = json.dumps(measure(chosen.measure, chosen.seeds), indent=1)
        (RESULTS / "heads.json").write_text(text + "\n", encoding="utf-8")
    if chosen.json:
        print((RESULTS / "heads.json").read_text(encoding="utf-8"), end="")
        return
    readme = README.read_text(encoding="utf-8")
    wanted = rendered(readme)
    if chosen.check:
        sys.exit("README.md is not what benchmarks/results_table.py writes." if wanted != readme else 0)
    README.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
