"""Steps of the LLaMA stage to a given validation loss, with and without projectors that were aligned before.

    python benchmarks/projector_warm_start.py --out DIR --seeds 0 1 2 --json \\
        > benchmarks/results/projector_warm_start.json

One rendered corpus (480 clips, tiny features); for each seed a tiny base of its own, projectors aligned with
its words on the training speakers, and the coarse stage of the `tiny` recipe twice: from random projectors
and from the aligned ones, all else equal (paired by seed). It is validated every few steps on the validation
speakers. The loss to reach is the lowest that the run without the warm start has anywhere: `steps` says when
each run first has it, null for never. Test clips are scored by the projectors alone, as a label scorer. What
is rendered, extracted and made under DIR already is kept. Prints one JSON object with raw rows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from emo.cache import Space
from emo.clip import Clip
from emo.config.demo import DemoConfig
from emo.config.llm import LlmConfig
from emo.config.projector import ProjectorConfig
from emo.heads.provenance import code_commit
from emo.labels import MER2023
from emo.llm.examples import ClipTexts
from emo.llm.recipe import load_recipe
from emo.llm.tiny.base import make_tiny_base
from emo.llm.training.events import Validated
from emo.llm.training.runs import Manner, run_llm
from emo.llm.warm_start import recipe_with
from emo.pipeline.demo_steps import CLIPS, extracted_spaces, rendered_clips
from emo.pipeline.merr_texts import read_texts
from emo.pipeline.projector import train_projectors
from emo.pipeline.projector_run import write_projector_run

STAGE = "coarse"


def measure(out: Path, seeds: Sequence[int], config: DemoConfig, every: int) -> dict[str, Any]:
    """A row a seed, and where and when they were measured."""
    say = lambda *_: None  # noqa: E731 - nobody listens
    clips = rendered_clips(out, config, 0, say)
    spaces = extracted_spaces(out, clips, config, 0, say)
    texts = read_texts(out / CLIPS, clips)
    rows = []
    for seed in seeds:
        rows.append(_row(out / f"run-{seed}", clips, spaces, texts, config, seed, every))
        sys.stderr.write(f"seed {seed}: {json.dumps(rows[-1])}\n")
    reached = [row["steps"] for row in rows]
    return {
        "schema_version": 1,
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} {platform.machine()} cores",
        "commit": code_commit(),
        "clips": config.clips,
        "validated_every": every,
        "rows": rows,
        "pairs_where_fewer": sum(_fewer(**each) for each in reached),
        "pairs": len(rows),
        "projector_cpu_s": statistics.median(row["projector_cpu_s"] for row in rows),
    }


def _fewer(warm: int | None, cold: int) -> bool:
    return warm is not None and warm < cold


def _row(
    out: Path,
    clips: Sequence[Clip],
    spaces: Mapping[str, Space],
    texts: Sequence[ClipTexts],
    config: DemoConfig,
    seed: int,
    every: int,
) -> dict[str, Any]:
    base = _base(out, clips, texts, config, seed)
    recipe = load_recipe("tiny")
    recipe = replace(recipe, stages={STAGE: replace(recipe.stages[STAGE], validate_every=every)})
    began, wall = time.process_time(), time.perf_counter()
    run = train_projectors(clips, texts, spaces, base, MER2023, recipe, replace(ProjectorConfig(), seed=seed))
    cpu, wall = time.process_time() - began, time.perf_counter() - wall
    write_projector_run(run, out / "projectors", {})
    curves = {}
    for name, projectors in (("cold", None), ("warm", out / "projectors")):
        chosen = recipe if projectors is None else recipe_with(recipe, run.trained, projectors)
        curves[name] = _curve(clips, texts, spaces, base, chosen, out / name, seed, projectors)
    target = min(loss for _, loss, _ in curves["cold"])
    return {
        "seed": seed,
        "projector_cpu_s": round(cpu, 1),
        "projector_wall_s": round(wall, 1),
        "projector_epochs": len(run.trained.history),
        "projector_f1": run.result.to_json(),
        "majority_f1": run.majority.weighted_f1,
        "target_loss": round(target, 4),
        "steps": {
            name: next((step for step, loss, _ in curve if loss <= target), None)
            for name, curve in curves.items()
        },
        "curves": {
            name: [{"step": step, "loss": round(loss, 4), "weighted_f1": f1} for step, loss, f1 in curve]
            for name, curve in curves.items()
        },
    }


def _base(out: Path, clips: Sequence[Clip], texts: Sequence[ClipTexts], config: DemoConfig, seed: int) -> str:
    """A base that has read the texts of the training clips."""
    seen = {clip.clip_id for clip in clips if clip.split == "train"}
    own = [text for text in texts if text.clip_id in seen]
    for _ in make_tiny_base(own, MER2023, out / "base", replace(config.base, seed=seed)):
        pass
    return str(out / "base")


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
    said = [
        f"seed {row['seed']}: validation loss {row['target_loss']:.3f} after {row['steps']['cold']} steps, "
        f"with aligned projectors after {row['steps']['warm']} "
        f"(aligned in {row['projector_cpu_s']:.0f} CPU-s; alone weighted F1 "
        f"{row['projector_f1']['weighted_f1']:.3f})"
        for row in result["rows"]
    ]
    return "\n".join([*said, f"fewer steps in {result['pairs_where_fewer']} of {result['pairs']} pairs"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("projector-corpus"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--clips", type=int, default=DemoConfig().clips, help="of the corpus")
    parser.add_argument("--every", type=int, default=5, help="steps from one validation to the next")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    result = measure(chosen.out, chosen.seeds, replace(DemoConfig(), clips=chosen.clips), chosen.every)
    print(json.dumps(result, indent=1) if chosen.json else lines(result))


if __name__ == "__main__":
    main()
