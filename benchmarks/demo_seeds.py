"""The demo over several seeds (seed = corpus and training): held-out speakers, controls, aims.

    python benchmarks/demo_seeds.py --out DIR --seeds 0 1 2 --json > benchmarks/results/demo_seeds.json

Each seed renders its own people, trains its own heads and LLaMA stage, and scores 240 clips of 30 speakers
that nothing was trained or chosen on. Prints one JSON object with a row a seed; `--markdown FILE` writes the
README's table from such an object. What is rendered and extracted under DIR already is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from emo.config.demo import DemoConfig
from emo.evaluation.tables import markdown_table
from emo.heads.provenance import code_commit
from emo.pipeline.demo import run_demo


def measure(out: Path, seeds: list[int]) -> dict[str, Any]:
    """One row a seed, and where and when they were measured."""
    rows = []
    for seed in seeds:
        rows.append(run_demo(out / f"seed-{seed}", replace(DemoConfig(), seed=seed)).to_json())
        sys.stderr.write(f"seed {seed}: {json.dumps(rows[-1])}\n")
    return {
        "schema_version": 1,
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} {platform.machine()} cores",
        "commit": code_commit(),
        "rows": rows,
    }


def table(result: dict[str, Any]) -> str:
    """The README's table: a line a system, a column a seed, mean and standard deviation."""
    rows = result["rows"]
    systems = {
        "fusion head": [_with_interval(row["head"]) for row in rows],
        "LLaMA stage": [_with_interval(row["llm"]) for row in rows],
    }
    values = {
        "fusion head": [row["head"]["weighted_f1"] for row in rows],
        "LLaMA stage": [row["llm"]["weighted_f1"] for row in rows],
    }
    for name in rows[0]["unimodal"]:
        values[f"{name} alone"] = [row["unimodal"][name] for row in rows]
    values["head, features shuffled"] = [row["shuffled"]["head_weighted_f1"] for row in rows]
    values["LLaMA, features shuffled"] = [row["shuffled"]["llm_weighted_f1"] for row in rows]
    values["majority class"] = [row["majority_f1"] for row in rows]
    lines = []
    for name, scores in values.items():
        cells = systems.get(name, [f"{score:.3f}" for score in scores])
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        lines.append((name, *cells, f"{statistics.mean(scores):.3f} ± {spread:.3f}"))
    headers = ("weighted F1", *(f"seed {row['seed']}" for row in rows), "mean ± sd")
    invalid = max(row["llm"]["invalid_rate"] for row in rows)
    reasons = [row["llm"]["reasons"] for row in rows]
    named = ", ".join(_share(each["names_label"]) for each in reasons)
    clues = ", ".join(_share(each["clue_f1"]) for each in reasons)
    chance = max(each["chance_f1"] for each in reasons)
    note = (
        f"n = {rows[0]['head']['n']} test clips a seed, of speakers nothing was trained or chosen on; "
        f"brackets: 95 % bootstrap over speakers. Invalid answers: at most {invalid:.1%}. Reasons that "
        f"name the label they explain: {named}. Clue F1 of the reasons: {clues}; against the clues of other "
        f"clips at most {chance:.3f}. Measured {result['date']} on {result['machine']} at commit "
        f"{result['commit'][:7]}, with `python benchmarks/demo_seeds.py --seeds 0 1 2`."
    )
    return f"{markdown_table(headers, lines)}\n{note}\n"


def _with_interval(scores: dict[str, Any]) -> str:
    low, high = scores["ci"]
    return f"{scores['weighted_f1']:.3f} [{low:.3f}, {high:.3f}]"


def _share(score: dict[str, Any]) -> str:
    low, high = score["ci"]
    return f"{score['value']:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Measure, or turn a measurement into the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo-seeds"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--markdown", type=Path, help="print the table of this JSON file instead of measuring"
    )
    chosen = parser.parse_args()
    if chosen.markdown:
        print(table(json.loads(chosen.markdown.read_text(encoding="utf-8"))), end="")
        return
    result = measure(chosen.out, chosen.seeds)
    print(json.dumps(result, indent=1) if chosen.json else table(result))


if __name__ == "__main__":
    main()
