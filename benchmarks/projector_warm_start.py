"""Steps of the LLaMA stage to a given validation loss, with and without projectors that were aligned before.

    python benchmarks/projector_warm_start.py --out DIR --seeds 0 1 2 --json \\
        > benchmarks/results/projector_warm_start.json

One rendered corpus (480 clips, tiny features) and one tiny base. For each seed (of projectors, adapters,
order and dropout) projectors are aligned with the base's words on the training speakers, and the coarse stage
of the `tiny` recipe is trained twice: from random projectors and from the aligned ones, all else equal. It is
validated every few steps on validation speakers. The losses to reach are those that the run without the warm
start has when it is validated: `reached` says after how many steps each run first has each of them, null for
never. `means` has, for every validated step, the mean loss of both over seeds, how much lower the warm one is
with a 95 % interval (Student's t, seeds paired), and after how many steps the warm mean is as low. Test clips
are scored by the projectors alone, as a label scorer. What is rendered, extracted and made under DIR already
is kept. Prints one JSON object with raw rows; `--merge FILE...` makes one of several.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from emo.cache import Space
from emo.clip import Clip
from emo.config.demo import DemoConfig
from emo.config.llm import LlmConfig
from emo.config.projector import ProjectorConfig
from emo.heads.provenance import code_commit
from emo.labels import MER2023
from emo.llm.examples import ClipTexts
from emo.llm.recipe import load_recipe
from emo.llm.training.events import Validated
from emo.llm.training.runs import Manner, run_llm
from emo.llm.warm_start import recipe_with
from emo.pipeline.demo_steps import CLIPS, extracted_spaces, rendered_clips, texts_and_base
from emo.pipeline.merr_texts import read_texts
from emo.pipeline.projector import train_projectors
from emo.pipeline.projector_run import write_projector_run

STAGE = "coarse"


def measure(
    out: Path, seeds: Sequence[int], config: DemoConfig, base: str, steps: int, every: int, labels_only: bool
) -> dict[str, Any]:
    """A row a seed, and where and when they were measured. "" as `base` makes one."""
    say = lambda *_: None  # noqa: E731 - nobody listens
    clips = rendered_clips(out, config, 0, say)
    spaces = extracted_spaces(out, clips, config, 0, say)
    texts = read_texts(out / CLIPS, clips)
    if not base:
        _, base = texts_and_base(out, clips, config, say)
    recipe = load_recipe("tiny")
    stage = replace(recipe.stages[STAGE], steps=steps, validate_every=every)
    if labels_only:
        stage = replace(stage, tasks={"emotion": 1.0})
    recipe = replace(recipe, stages={STAGE: stage})
    rows, name = [], "run-labels" if labels_only else "run"
    for seed in seeds:
        rows.append(_row(out / f"{name}-{seed}", clips, spaces, texts, base, recipe, seed))
        sys.stderr.write(f"seed {seed}: {json.dumps(rows[-1])}\n")
    return {
        "schema_version": 1,
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} {platform.machine()} cores",
        "commit": code_commit(),
        "clips": config.clips,
        "base": json.loads((Path(base) / "tiny-base.json").read_text(encoding="utf-8")),
        "tasks": dict(stage.tasks),
        "stage_steps": steps,
        "validated_every": every,
        "rows": rows,
        "means": means(rows),
    }


def merged(files: Sequence[Path]) -> dict[str, Any]:
    """The rows of several measurements of one kind under the facts of the first."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    rows = [row for one in found for row in one["rows"]]
    return {**found[0], "rows": rows, "means": means(rows)}


def means(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Both mean losses by validated step, the paired difference, and when the warm mean is as low."""
    cold, warm = (
        np.array([[each["loss"] for each in row["curves"][name]] for row in rows])
        for name in ("cold", "warm")
    )
    steps = [each["step"] for each in rows[0]["curves"]["cold"]]
    lower = cold - warm
    half = (
        stats.sem(lower, axis=0) * stats.t.ppf(0.975, len(rows) - 1)
        if len(rows) > 1
        else np.full(len(steps), np.nan)
    )
    curve = list(zip(steps, warm.mean(axis=0).tolist(), [None] * len(steps), strict=True))
    return [
        {
            "step": step,
            "cold": round(float(cold[:, at].mean()), 4),
            "warm": round(float(warm[:, at].mean()), 4),
            "lower_by": round(float(lower[:, at].mean()), 4),
            "ci": None
            if np.isnan(half[at])
            else [round(float(lower[:, at].mean() + side * half[at]), 4) for side in (-1, 1)],
            "seeds_lower": int((lower[:, at] > 0).sum()),
            "warm_reaches_it_after": _first(curve, float(cold[:, at].mean())),
        }
        for at, step in enumerate(steps)
    ]


def _row(
    out: Path,
    clips: Sequence[Clip],
    spaces: Mapping[str, Space],
    texts: Sequence[ClipTexts],
    base: str,
    recipe: LlmConfig,
    seed: int,
) -> dict[str, Any]:
    began, wall = time.process_time(), time.perf_counter()
    run = train_projectors(clips, texts, spaces, base, MER2023, recipe, replace(ProjectorConfig(), seed=seed))
    cpu, wall = time.process_time() - began, time.perf_counter() - wall
    write_projector_run(run, out / "projectors", {})
    curves = {}
    for name, projectors in (("cold", None), ("warm", out / "projectors")):
        chosen = recipe if projectors is None else recipe_with(recipe, run.trained, projectors)
        curves[name] = _curve(clips, texts, spaces, base, chosen, out / name, seed, projectors)
    return {
        "seed": seed,
        "projector_cpu_s": round(cpu, 1),
        "projector_wall_s": round(wall, 1),
        "projector_epochs": len(run.trained.history),
        "projector_scores": run.result.to_json(),
        "majority_weighted_f1": run.majority.weighted_f1,
        "reached": [
            {
                "loss": round(loss, 4),
                "cold": _first(curves["cold"], loss),
                "warm": _first(curves["warm"], loss),
            }
            for _, loss, _ in curves["cold"]
        ],
        "curves": {
            name: [{"step": step, "loss": round(loss, 4), "weighted_f1": f1} for step, loss, f1 in curve]
            for name, curve in curves.items()
        },
    }


def _first(curve: Sequence[tuple[int, float, float | None]], loss: float) -> int | None:
    """The first validated step with that loss or a lower one."""
    return next((step for step, found, _ in curve if found <= loss), None)


def _curve(
    clips: Sequence[Clip],
    texts: Sequence[ClipTexts],
    spaces: Mapping[str, Space],
    base: str,
    recipe: LlmConfig,
    out: Path,
    seed: int,
    projectors: Path | None,
) -> list[tuple[int, float, float | None]]:
    """Step, loss and F1 of every validation of a run."""
    events = run_llm(
        clips, texts, spaces, base, recipe, out, seed=seed, projectors=projectors, manner=Manner(fresh=True)
    )
    return [(event.step, event.loss, event.weighted_f1) for event in events if isinstance(event, Validated)]


def lines(result: dict[str, Any]) -> str:
    """The result for people."""
    said = []
    for row in result["rows"]:
        score = row["projector_scores"]["weighted_f1"]
        said.append(
            f"seed {row['seed']}: aligned in {row['projector_cpu_s']:.0f} CPU-s, alone weighted F1 "
            f"{score:.3f}"
        )
        said += [
            f"  validation loss {each['loss']:.3f}: after {each['cold']} steps, with aligned projectors "
            f"{'never' if each['warm'] is None else each['warm']}"
            for each in row["reached"]
        ]
    for each in result["means"]:
        said.append(
            f"mean of {len(result['rows'])} seeds, step {each['step']}: {each['cold']:.3f}, "
            f"warm {each['warm']:.3f}, lower by {each['lower_by']:.4f} {each['ci']} "
            f"(in {each['seeds_lower']}), as low after {each['warm_reaches_it_after']} steps"
        )
    return "\n".join(said)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("projector-corpus"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--clips", type=int, default=DemoConfig().clips, help="of the corpus")
    parser.add_argument(
        "--base", default="", help="one that was made before; else made of the training clips"
    )
    parser.add_argument("--steps", type=int, default=50, help="of the stage")
    parser.add_argument(
        "--labels-only", action="store_true", help="no captions in the stage, nor in its loss"
    )
    parser.add_argument("--every", type=int, default=5, help="steps from one validation to the next")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--merge", type=Path, nargs="+", help="JSON files to join instead of measuring")
    chosen = parser.parse_args()
    config = replace(DemoConfig(), clips=chosen.clips)
    result = (
        merged(chosen.merge)
        if chosen.merge
        else measure(
            chosen.out, chosen.seeds, config, chosen.base, chosen.steps, chosen.every, chosen.labels_only
        )
    )
    print(json.dumps(result, indent=1) if chosen.json else lines(result))


if __name__ == "__main__":
    main()
