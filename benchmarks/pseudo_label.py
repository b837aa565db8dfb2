"""What pseudo-labels bring a head: labelled clips alone, with the labels of each round, with the true labels.

    python benchmarks/pseudo_label.py --out DIR --seeds 0 1 2 --json > benchmarks/results/pseudo_label.json

One rendered corpus (480 clips, tiny features) and one tiny base. For each seed the labels of all but a third
of the training speakers are hidden, the loop of `emo pseudo-label` runs its two rounds, and an attention head
is trained on the labelled clips, on these and the agreed ones of each round, and on all training clips with
their true labels: the most there is to gain. Each is scored on the same test clips of speakers that nothing
was trained or chosen on; a gain is over the labelled clips alone, with a 95 % bootstrap over speakers. The
base has read the texts of all training clips, without any feature. What is rendered, extracted and made under
DIR already is kept. Prints one JSON object with raw rows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from emo.cache import Space
from emo.clip import Clip
from emo.config.demo import DemoConfig
from emo.config.heads import HeadConfig
from emo.evaluation.intervals import paired_bootstrap
from emo.heads.provenance import code_commit
from emo.heads.runs import HeadRun, run_head
from emo.labels import MER2023
from emo.llm.examples import ClipTexts
from emo.llm.recipe import load_recipe
from emo.pipeline.demo_steps import CLIPS, extracted_spaces, rendered_clips, texts_and_base
from emo.pipeline.merr_texts import read_texts
from emo.pipeline.pseudo_loop import NAME, LoopConfig, run_loop
from emo.pipeline.pseudo_pool import pool_of

LABELLED_SHARE = 1 / 3
ALONE, ALL = "labelled clips alone", "all training clips, true labels"


@dataclass(frozen=True, slots=True)
class World:
    """What every seed shares."""

    clips: Sequence[Clip]
    spaces: Mapping[str, Space]
    texts: Sequence[ClipTexts]
    base: str


def measure(
    out: Path, seeds: Sequence[int], config: DemoConfig, base: str, loop: LoopConfig
) -> dict[str, Any]:
    """A row a seed, and where and when they were measured. "" as `base` makes one."""
    say = lambda *_: None  # noqa: E731 - nobody listens
    clips = rendered_clips(out, config, 0, say)
    spaces = extracted_spaces(out, clips, config, 0, say)
    if not base:
        _, base = texts_and_base(out, clips, config, say)
    world, rows = World(clips, spaces, read_texts(out / CLIPS, clips), base), []
    for seed in seeds:
        rows.append(_row(world, out / f"pseudo-{seed}", replace(loop, seed=seed)))
        sys.stderr.write(f"seed {seed}: {json.dumps(rows[-1])}\n")
    return {
        "schema_version": 1,
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} {platform.machine()} cores",
        "commit": code_commit(),
        "clips": config.clips,
        "precision": loop.precision,
        "rows": rows,
    }


def _row(world: World, out: Path, loop: LoopConfig) -> dict[str, Any]:
    head = replace(HeadConfig(), seed=loop.seed)
    hide = _hidden(world.clips, loop.seed)
    pool = pool_of(world.clips, hide, val_share=head.val_share, seed=loop.seed)
    held = [clip for clip in world.clips if clip.split == "test"]
    runs = {ALONE: _head(world, [*pool.train, *pool.val, *held], head)}
    rounds = []
    recipe = load_recipe("tiny")
    for done in run_loop(pool, world.spaces, world.texts, world.base, head, recipe, out, loop):
        rounds.append(done.to_json())
        agreed = [
            replace(clip, label=done.agreed[clip.clip_id])
            for clip in pool.unlabelled
            if clip.clip_id in done.agreed
        ]
        runs[f"with {NAME}-labels of round {done.number}"] = _head(
            world, [*pool.train, *agreed, *pool.val, *held], head
        )
    runs[ALL] = _head(world, world.clips, head)
    return {
        "seed": loop.seed,
        "labelled": len(pool.train),
        "hidden": len(pool.unlabelled),
        "rounds": rounds,
        "scores": {name: run.result.to_json() for name, run in runs.items()},
        "gains": {name: _gain(held, run, runs[ALONE]) for name, run in runs.items() if name != ALONE},
    }


def _hidden(clips: Sequence[Clip], seed: int) -> list[str]:
    """The training clips of all speakers but a third."""
    speakers = sorted({clip.speaker for clip in clips if clip.split == "train" and clip.speaker})
    known = random.Random(seed).sample(speakers, round(len(speakers) * LABELLED_SHARE))
    return [clip.clip_id for clip in clips if clip.split == "train" and clip.speaker not in known]


def _head(world: World, clips: Sequence[Clip], config: HeadConfig) -> HeadRun:
    return run_head(clips, world.spaces, MER2023, config)


def _gain(held: Sequence[Clip], run: HeadRun, alone: HeadRun) -> dict[str, Any]:
    ids = [clip.clip_id for clip in held]
    found = paired_bootstrap(
        [clip.label or "" for clip in held],
        [run.predicted.get(clip_id) for clip_id in ids],
        [alone.predicted.get(clip_id) for clip_id in ids],
        MER2023,
        [clip.speaker for clip in held],
    )
    return {"weighted_f1": found.value, "ci": [found.low, found.high], "p_value": found.p_value}


def lines(result: dict[str, Any]) -> str:
    """The result for people."""
    said = []
    for row in result["rows"]:
        said.append(f"seed {row['seed']}: {row['labelled']} labelled, {row['hidden']} hidden")
        said += [
            f"  round {each['round']}: {each['agreed']} agreed, right {each['right']['both']}"
            for each in row["rounds"]
        ]
        for name, score in row["scores"].items():
            gain = row["gains"].get(name)
            by = (
                f", gain {gain['weighted_f1']:+.3f} [{gain['ci'][0]:.3f}, {gain['ci'][1]:.3f}]"
                if gain
                else ""
            )
            said.append(f"  {name}: weighted F1 {score['weighted_f1']:.3f} (n {score['n']}){by}")
    return "\n".join(said)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("pseudo-corpus"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--clips", type=int, default=DemoConfig().clips, help="of the corpus")
    parser.add_argument(
        "--base", default="", help="one that was made before; else made of the training clips"
    )
    parser.add_argument("--precision", type=float, default=LoopConfig().precision)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    config = replace(DemoConfig(), clips=chosen.clips)
    loop = replace(LoopConfig(), precision=chosen.precision)
    result = measure(chosen.out, chosen.seeds, config, chosen.base, loop)
    print(json.dumps(result, indent=1) if chosen.json else lines(result))


if __name__ == "__main__":
    main()
