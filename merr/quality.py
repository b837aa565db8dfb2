"""Figures of a built set: do labels agree, do texts say what is there, are they varied, are labels balanced.

Needs no reference and asks no model. Knows entries and findings, never files.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TypeAlias

import numpy as np

from emo.canonical import Json
from emo.evaluation.intervals import interval_of_sums
from emo.evaluation.reasons import distinct, named_clues
from emo.merr.coarse import unit_name
from emo.merr.filters import LEXICON, pieces
from emo.merr.written import Written

NEAR = 0.8  # share of common three-word pieces from which two texts are near-duplicates
Figures: TypeAlias = dict[str, Json]


def agreement(pairs: Sequence[tuple[str, str]], speakers: Sequence[str | None], *, seed: int = 0) -> Figures:
    """Share of clips whose two labels are the same, with a bootstrap interval over speakers."""
    if not pairs:
        return {"n": 0}
    rows = np.array([[float(one == other), 1.0] for one, other in pairs])
    found = interval_of_sums("agreement", rows, _ratio, speakers, seed=seed)
    return {
        "n": len(pairs),
        "share": round(found.point, 4),
        "ci": [round(found.low, 4), round(found.high, 4)],
    }


def balance(labels: Sequence[str]) -> Figures:
    """Counts by label, and their entropy over that of equal shares: 1 is balanced, 0 is one label."""
    counts = Counter(labels)
    shares = [count / len(labels) for count in counts.values()]
    entropy = -sum(share * math.log(share) for share in shares)
    even = entropy / math.log(len(counts)) if len(counts) > 1 else 0.0
    return {"counts": dict(sorted(counts.items())), "evenness": round(even, 4)}


def shortfalls(labels: Sequence[str], wanted: Sequence[str], target: int) -> Figures:
    """How many entries each label lacks of its target."""
    counts = Counter(labels)
    return {label: target - counts[label] for label in wanted if counts[label] < target}


def texts(written: Sequence[str]) -> Figures:
    """Length in words, variety, and pairs that say nearly the same."""
    if not written:
        return {"n": 0}
    return {
        "n": len(written),
        "mean_words": round(fmean(len(text.split()) for text in written), 2),
        "distinct_1": round(distinct(written, 1), 4),
        "distinct_2": round(distinct(written, 2), 4),
        "with_near_duplicate": _near(written),
    }


def consistency(written: Sequence[Written]) -> Figures:
    """Over all clips: of the movements that reasons name the share that the face shows, and of the clues
    found true the share that reasons name."""
    named = shown = true = told = 0
    for each in written:
        in_text = named_clues(each.finding.reason, LEXICON)
        there = {unit_name(unit) for unit in (*each.draft.face.seen, *each.draft.face.units)}
        meant = set(each.finding.true_clues) & set(LEXICON)
        named, shown = named + len(in_text), shown + len(in_text & there)
        true, told = true + len(meant), told + len(in_text & meant)
    return {
        "clues_named": named,
        "named_that_are_there": round(shown / named, 4) if named else None,
        "clues_true": true,
        "true_that_are_named": round(told / true, 4) if true else None,
    }


def label_pairs(
    first: Mapping[str, str], second: Mapping[str, str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """The clips that both label, and their two labels."""
    both = [clip_id for clip_id in first if clip_id in second]
    return both, [(first[clip_id], second[clip_id]) for clip_id in both]


def _near(written: Sequence[str]) -> int:
    """Texts that share NEAR of their pieces with an earlier one."""
    seen: list[frozenset[str]] = []
    holders: dict[str, list[int]] = {}
    count = 0
    for text in written:
        own = pieces(text)
        shared = Counter(place for piece in own for place in holders.get(piece, ()))
        count += any(n / (len(own) + len(seen[place]) - n) >= NEAR for place, n in shared.items())
        for piece in own:
            holders.setdefault(piece, []).append(len(seen))
        seen.append(own)
    return count


def _ratio(sums: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1.0))
