"""What a smaller EVA costs: bytes a clip, the error of the feature, the change of a head's score.

    python benchmarks/compact_eva.py --json

Clips are drawn people (a rendered corpus of `--clips`); the weights are those of the tiny preset at 224
pixels, a grid of 4 x 4, so that there is something to pool. `bytes of paper` is what a clip takes with the
paper's EVA (1025 tokens of 1408). `token error` is the distance of the stored tokens from those of `eva@224`
as a share of their length; those of a pooled grid stand for every patch of their square. A head is trained
on each variant alone, `--heads` times; `change` is its weighted F1 less that of `eva@224` on the same test
clips, of speakers nothing was trained on, over all heads, with a 95 % bootstrap over speakers.

A head's usual view of EVA, the class token and the mean of all, hardly changes for a pooled grid by
construction. The LLaMA stage and heads of one's own read single tokens: `token error` is what they meet.
Drawn people are no claim about filmed ones.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from emo.cache import FeatureCache, open_cache
from emo.clip import Clip
from emo.config.corpus import CorpusConfig
from emo.config.heads import HeadConfig
from emo.corpora.manifest import clips_in
from emo.corpora.rendered.corpus import render_corpus
from emo.evaluation.intervals import paired_bootstrap
from emo.heads.provenance import code_commit
from emo.heads.runs import run_head
from emo.labels import MER2023
from emo.pipeline.extract import extract
from emo.records import Array

WHOLE = "eva@tiny+224"
VARIANTS = (f"{WHOLE}+int8", f"{WHOLE}+pool4", f"{WHOLE}+pool4+int8", f"{WHOLE}+pool1")
PAPER_TOKENS, PAPER_DIM = 1025, 1408
PAPER_KEPT = {"pool1": 1, "pool4": 4}
SCALE_BYTES = 4  # of a token in int8


def paper_bytes(variant: str) -> int:
    """Bytes a clip with the paper's weights."""
    kept = next((count for name, count in PAPER_KEPT.items() if name in variant), PAPER_TOKENS - 1)
    return (1 + kept) * (PAPER_DIM + SCALE_BYTES if "int8" in variant else 2 * PAPER_DIM)


def spread(tokens: Array, count: int) -> Array:
    """Tokens of a pooled grid (1 + k, D) as (count, D): each stands for the patches of its square."""
    grid, side = math.isqrt(count - 1), math.isqrt(len(tokens) - 1)
    squares = tokens[1:].reshape(side, side, -1)
    wide = squares.repeat(grid // side, axis=0).repeat(grid // side, axis=1)
    return np.concatenate([tokens[:1], wide.reshape(count - 1, -1)])


def token_error(cache: FeatureCache, variant: str, ids: Sequence[str]) -> float:
    """Median over clips of the distance from the whole tokens, as a share of their length."""
    errors = []
    for whole, small in zip(
        *(cache[name].read_many(ids, "tokens") for name in (WHOLE, variant)), strict=True
    ):
        exact = whole.astype(np.float64)
        errors.append(np.linalg.norm(spread(small, len(exact)) - exact) / np.linalg.norm(exact))
    return float(np.median(errors))


def answers(cache: FeatureCache, name: str, clips: Sequence[Clip], seeds: int) -> list[Any]:
    """Heads on this variant alone, one a seed."""
    spaces = {"eva": cache[name]}
    return [
        run_head(clips, spaces, MER2023, replace(HeadConfig(), seed=seed)).result for seed in range(seeds)
    ]


def change(first: Sequence[Any], second: Sequence[Any]) -> dict[str, float]:
    """Weighted F1 of `first` less `second`, all heads' answers together; a speaker is one of its head."""
    truth, one, other = (
        [label for run in runs for label in labels(run)]
        for runs, labels in (
            (first, lambda run: run.truth),
            (first, lambda run: run.predicted),
            (second, lambda run: run.predicted),
        )
    )
    found = paired_bootstrap(truth, one, other, MER2023, [who for run in first for who in run.speakers])
    return {"value": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


def measure(folder: Path, clips: int, seed: int, heads: int) -> dict[str, Any]:
    """A row a variant."""
    for _ in render_corpus(folder / "clips", replace(CorpusConfig(), clips=clips, seed=seed)):
        pass
    chosen, _ = clips_in(folder / "clips")
    extract(chosen, [WHOLE, *VARIANTS], folder / "features.zarr")
    cache = open_cache(folder / "features.zarr")
    whole = answers(cache, WHOLE, chosen, heads)
    rows = [{"variant": WHOLE, "bytes of paper": paper_bytes(WHOLE), "weighted_f1": _mean(whole)}]
    ids = [clip.clip_id for clip in chosen]
    for variant in VARIANTS:
        own = answers(cache, variant, chosen, heads)
        rows.append(
            {
                "variant": variant,
                "bytes of paper": paper_bytes(variant),
                "token error": round(token_error(cache, variant, ids), 5),
                "weighted_f1": _mean(own),
                "change": change(own, whole),
            }
        )
    return {
        "schema_version": 1,
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} {platform.machine()} cores",
        "commit": code_commit(),
        "clips": clips,
        "seed": seed,
        "heads": heads,
        "test clips": len(whole[0].truth),
        "rows": rows,
    }


def _mean(runs: Sequence[Any]) -> float:
    return round(float(np.mean([run.scores.weighted_f1 for run in runs])), 4)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--heads", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the clips and their features here")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(chosen.folder or Path(scratch), chosen.clips, chosen.seed, chosen.heads)
    if chosen.json:
        print(json.dumps(result))
        return
    for row in result["rows"]:
        print("  ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
