"""How full the rows are and how evenly ranks are loaded, for an epoch of 28,618 clips of realistic lengths.

    python benchmarks/train_packing.py --json

Pure counting. Beside packed rows it counts batches padded to their longest, random and grouped by length.
Lengths: half label examples (about 350 tokens), the others coarse reasons (about 440) and, one in ten, long
answers as those of EMER (median 343 tokens beside the prompt).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from side_by_side.rounds import Bar, options_of, report

from emo.llm.packing.balance import imbalance, shares
from emo.llm.packing.rows import balanced_rows, full_rows, useful_share
from emo.llm.training.plan import group_by_length, in_order

RANKS = range(1, 9)


def lengths_of(count: int, seed: int) -> list[int]:
    """Tokens of each example: 326 of the prompt without its subtitle, subtitle, answer."""
    rng = np.random.default_rng(seed)
    label = rng.integers(2, 5, count)
    coarse = rng.lognormal(np.log(110), 0.5, count).clip(30, 200)
    long = rng.lognormal(np.log(343), 0.2, count).clip(100, 900)
    kind = rng.choice(3, count, p=[0.5, 0.4, 0.1])
    answers = np.stack([label, coarse, long])[kind, np.arange(count)]
    subtitles = rng.lognormal(np.log(19), 0.65, count).clip(3, 90)
    return [int(one) for one in 326 + subtitles + answers]


def padded_share(batches: Iterable[Sequence[int]]) -> float:
    """Useful tokens of batches padded to their longest."""
    kept = list(batches)
    return sum(map(sum, kept)) / sum(max(batch) * len(batch) for batch in kept)


def totals(lengths: Sequence[int], rows: Iterable[Sequence[int]]) -> list[int]:
    """Tokens of each row."""
    return [sum(lengths[place] for place in row) for row in rows]


def worst_balance(filled: Sequence[int], ranks: int) -> float:
    """Largest max/mean over ranks, of steps of two full rows a rank."""
    steps = [step for step in in_order(filled, 2 * ranks) if len(step) == 2 * ranks]
    return max(imbalance(totals(step, shares(step, ranks))) for step in steps)


def worst_balance_of_clips(lengths: Sequence[int], clips: int, budget: int, ranks: int) -> float:
    """The same for steps of a fixed number of clips."""
    worst = 1.0
    for step in in_order(lengths, clips):
        if len(step) == clips:
            filled = totals(step, balanced_rows(step, budget, ranks))
            worst = max(worst, imbalance(totals(filled, shares(filled, ranks))))
    return worst


def main() -> None:
    """Count."""
    options = options_of(__doc__, clips=28_618, budget=16_384, batch=64)
    lengths = lengths_of(options.clips, options.seed)
    rows = full_rows(lengths, options.budget)
    filled = totals(lengths, rows)
    grouped = group_by_length(lengths, options.batch, lambda one: one, np.random.default_rng(options.seed))
    found = {
        "useful": [useful_share(filled, options.budget)],
        "by_rank": [max(worst_balance(filled[:-1], ranks) for ranks in RANKS)],
        "by_rank_of_clips": [
            max(worst_balance_of_clips(lengths, options.batch, options.budget, ranks) for ranks in RANKS)
        ],
        "one": [1.0],
    }
    facts = {
        "mean_tokens": round(sum(lengths) / len(lengths), 1),
        "rows": len(rows),
        "useful share, padded at random, batches of 8": round(padded_share(in_order(lengths, 8)), 4),
        f"useful share, padded at random, batches of {options.batch}": round(
            padded_share(in_order(lengths, options.batch)), 4
        ),
        f"useful share, grouped by length, batches of {options.batch}": round(padded_share(grouped), 4),
    }
    bars = {
        "useful-token share of full rows": Bar("useful", "one", at_least=0.98, aim=0.995),
        "max/mean tokens over 1 to 8 ranks, full rows": Bar("by_rank", "one", at_most=1.02),
        f"max/mean tokens over 1 to 8 ranks, {options.batch} clips a step": Bar(
            "by_rank_of_clips", "one", at_most=1.02
        ),
    }
    report(
        "train_packing", options, found, bars, facts, {"nothing lost": sum(filled) == sum(lengths)}, "counts"
    )


if __name__ == "__main__":
    main()
