"""The modality ablation over several seeds: A, V, T, AV and AVT, features shuffled as control.

    python benchmarks/ablation.py --out DIR --seeds 0 1 2 --json > benchmarks/results/ablation.json
    python benchmarks/ablation.py --markdown benchmarks/results/ablation.json --figure ablation.png

Each seed is a corpus of its own and a base of its own; every set of modalities trains the LLaMA stage of the
`tiny` recipe on it and answers for 240 clips of 30 speakers that nothing was trained or chosen on. Subtitles
carry no class there, so T alone is chance by design. `pooled` are all seeds' clips together, resampled by
speaker; `gains` are AVT minus the others on them, paired. What is rendered, extracted and made under DIR
already (by `emo demo` or benchmarks/demo_seeds.py too) is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from emo.config.demo import DemoConfig
from emo.evaluation.figures import save_figure
from emo.evaluation.intervals import paired_bootstrap
from emo.evaluation.scored import Scored, score
from emo.evaluation.tables import markdown_table
from emo.heads.provenance import code_commit
from emo.labels import MER2023
from emo.pipeline.ablation import SETS, AblationRow, run_ablation
from emo.pipeline.ablation_figure import ablation_figure

WHOLE = SETS[-1].name


def measure(out: Path, seeds: Sequence[int], shuffles: int) -> dict[str, Any]:
    """A row a seed and set, the sets over all seeds, and where and when it was measured."""
    rows: list[AblationRow] = []
    for seed in seeds:
        config = replace(DemoConfig(), seed=seed, shuffles=shuffles)
        for row in run_ablation(out / f"seed-{seed}", config):
            rows.append(row)
            sys.stderr.write(f"{json.dumps(row.to_json())}\n")
    pooled = {one.name: _pooled([row for row in rows if row.modalities == one]) for one in SETS}
    return {
        "schema_version": 1,
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} {platform.machine()} cores",
        "commit": code_commit(),
        "seeds": list(seeds),
        "shuffles": shuffles,
        "rows": [row.to_json() for row in rows],
        "pooled": {
            name: {
                "n": one.scores.n,
                "weighted_f1": round(one.scores.weighted_f1, 4),
                "ci": [round(one.interval.low, 4), round(one.interval.high, 4)],
            }
            for name, one in pooled.items()
        },
        "gains": {name: _gain(pooled[WHOLE], one) for name, one in pooled.items() if name != WHOLE},
    }


def _pooled(rows: Sequence[AblationRow]) -> Scored:
    """All seeds' answers together; a speaker is one of its seed."""
    return score(
        [label for row in rows for label in row.scored.truth],
        [label for row in rows for label in row.scored.predicted],
        MER2023,
        [f"{row.seed}/{speaker}" for row in rows for speaker in row.scored.speakers],
    )


def _gain(whole: Scored, one: Scored) -> dict[str, Any]:
    gain = paired_bootstrap(whole.truth, whole.predicted, one.predicted, MER2023, whole.speakers)
    return {"difference": round(gain.value, 4), "ci": [round(gain.low, 4), round(gain.high, 4)]}


def table(result: dict[str, Any]) -> str:
    """The table for people: a line a set."""
    lines = []
    for name, pooled in result["pooled"].items():
        rows = [row for row in result["rows"] if row["set"] == name]
        scores = [row["weighted_f1"] for row in rows]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        shuffled = [row["shuffled_weighted_f1"] for row in rows if row["shuffled_weighted_f1"] is not None]
        gain = result["gains"].get(name)
        lines.append(
            (
                name,
                *(f"{value:.3f}" for value in scores),
                f"{statistics.mean(scores):.3f} ± {spread:.3f}",
                _with_interval(pooled["weighted_f1"], pooled["ci"]),
                _with_interval(gain["difference"], gain["ci"], sign="+") if gain else "-",
                f"{statistics.mean(shuffled):.3f}" if shuffled else "-",
                f"{max(row['invalid_rate'] for row in rows):.1%}",
                f"{min(row['reasons']['names_label']['value'] for row in rows):.1%}",
                f"{statistics.mean(row['reasons']['clue_f1']['value'] for row in rows):.3f}",
                f"{statistics.mean(row['reasons']['chance_f1'] for row in rows):.3f}",
            )
        )
    headers = (
        "set",
        *(f"seed {seed}" for seed in result["seeds"]),
        "mean ± sd",
        "pooled",
        f"{WHOLE} minus it",
        "shuffled",
        "invalid, at most",
        "name their label, at least",
        "clue F1",
        "by chance",
    )
    n = result["rows"][0]["n"]
    note = (
        f"Weighted F1 of generated labels; n = {n} test clips a seed, of speakers nothing was trained or "
        "chosen on; brackets: 95 % bootstrap over speakers, paired for differences. Shuffled: mean over "
        f"{result['shuffles']} permutations of the features among the clips. Subtitles carry no class. "
        f"Measured {result['date']} on {result['machine']}, commit {str(result['commit'])[:7]}, with "
        f"`python benchmarks/ablation.py --seeds {' '.join(map(str, result['seeds']))} --shuffles "
        f"{result['shuffles']}`."
    )
    return f"{markdown_table(headers, lines)}\n{note}\n"


def _with_interval(value: float, ci: Sequence[float], sign: str = "") -> str:
    return f"{value:{sign}.3f} [{ci[0]:{sign}.3f}, {ci[1]:{sign}.3f}]"


def main() -> None:
    """Measure, or turn a measurement into the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo-seeds"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shuffles", type=int, default=DemoConfig().shuffles, help="permutations a control")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", type=Path, help="take this JSON file instead of measuring")
    parser.add_argument("--figure", type=Path, help="draw the bars into this PNG or SVG file")
    chosen = parser.parse_args()
    if chosen.markdown:
        result = json.loads(chosen.markdown.read_text(encoding="utf-8"))
    else:
        result = measure(chosen.out, chosen.seeds, chosen.shuffles)
    if chosen.figure:
        save_figure(ablation_figure(result), chosen.figure)
    print(json.dumps(result, indent=1) if chosen.json else table(result), end="")


if __name__ == "__main__":
    main()
