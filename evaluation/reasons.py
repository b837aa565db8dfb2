"""Scores of generated reasons against planted clues: what a reason names, and whether it repeats itself.

A clue is named by exact phrases, so nothing is judged by taste and no other model is asked. It says whether a
reason looks at its clip, not whether it convinces. Knows texts and clues, never models or clips.

Axes: N reasons, R resamples.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emo.errors import ConfigError
from emo.evaluation.intervals import Floats, Interval, Statistic, interval_of_sums
from emo.labels import parse_label

CHANCE_ROUNDS = 20  # permutations of the truths behind `chance_f1`
REPEATED = 4  # words in a row that count as a repetition
WORD = re.compile(r"[a-z0-9']+")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClueTruth:
    """What is true of one clip.

    `label` is the label its reason was asked to explain. `clues` are names of clues that an annotator wrote
    down; `also` are true as well but not written down: naming one is no mistake, leaving it out neither.
    """

    label: str
    clues: frozenset[str]
    also: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasonScores:
    """Scores of N reasons; every interval is a bootstrap over speakers.

    `names_label` is the share of reasons whose last named label is their own. Precision, recall and F1 of the
    clues are sums over all clips (micro). `chance_f1` is the same F1 against the truth of other clips: what
    is reached without looking. `repetition` is the mean share of a reason's 4-grams that it has said before
    (seq-rep-4, Welleck et al. 2019, arXiv:1908.04319). `distinct_2` is the number of different bigrams over
    all bigrams (Li et al. 2016, arXiv:1510.03055); it has no interval, as a resample repeats clips.
    """

    names_label: Interval
    clue_precision: Interval
    clue_recall: Interval
    clue_f1: Interval
    chance_f1: float
    repetition: Interval
    distinct_2: float
    n: int

    def intervals(self) -> tuple[Interval, ...]:
        """Those scores that have one, in the order of a table."""
        return (self.names_label, self.clue_precision, self.clue_recall, self.clue_f1, self.repetition)

    def to_json(self) -> dict[str, object]:
        """Every score by its name, with its 95 % interval as `ci`."""
        scores: dict[str, object] = {
            each.metric: {"value": each.point, "ci": [each.low, each.high]} for each in self.intervals()
        }
        return {"n": self.n, **scores, "chance_f1": self.chance_f1, "distinct_2": self.distinct_2}


def score_reasons(
    reasons: Sequence[str],
    truths: Sequence[ClueTruth],
    speakers: Sequence[str | None],
    lexicon: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    *,
    seed: int = 0,
) -> ReasonScores:
    """Scores of `reasons` against the truths of the same clips.

    `lexicon` maps each clue to the phrases that name it; `labels` is the label set. `seed` is that of the
    bootstrap and of the permutations. ConfigError where lengths differ, there is nothing to score, or a truth
    has a clue that the lexicon cannot name.
    """
    _refuse_misfit(reasons, truths, lexicon)
    named = [named_clues(reason, lexicon) for reason in reasons]
    counts = np.array([_counts(clues, truth) for clues, truth in zip(named, truths, strict=True)], float)
    own = [parse_label(reason, labels) == each.label for reason, each in zip(reasons, truths, strict=True)]
    repeated = [_repetition(reason) for reason in reasons]
    ones = np.ones(len(reasons))

    def interval(name: str, rows: Floats, statistic: Statistic = _ratio) -> Interval:
        return interval_of_sums(name, rows, statistic, speakers, seed=seed)

    return ReasonScores(
        names_label=interval("names_label", np.column_stack([own, ones])),
        clue_precision=interval("clue_precision", counts[:, [0, 2]]),
        clue_recall=interval("clue_recall", counts[:, [1, 3]]),
        clue_f1=interval("clue_f1", counts, _f1),
        chance_f1=_chance(named, truths, seed),
        repetition=interval("repetition", np.column_stack([repeated, ones])),
        distinct_2=distinct(reasons),
        n=len(reasons),
    )


def named_clues(text: str, lexicon: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """The clues of which `text` has a phrase, word for word; case and marks do not matter."""
    spaced = f" {' '.join(_words(text))} "
    return frozenset(
        clue
        for clue, phrases in lexicon.items()
        if any(f" {' '.join(_words(phrase))} " in spaced for phrase in phrases)
    )


def distinct(texts: Sequence[str], size: int = 2) -> float:
    """Different `size`-grams over all of them (Li et al. 2016, arXiv:1510.03055); 0 where there are none."""
    grams = [gram for text in texts for gram in _grams(_words(text), size)]
    return len(set(grams)) / len(grams) if grams else 0.0


def _counts(named: frozenset[str], truth: ClueTruth) -> tuple[int, int, int, int]:
    """Clues named that are true, clues written down that are named, clues named, clues written down."""
    return (
        len(named & (truth.clues | truth.also)),
        len(named & truth.clues),
        len(named),
        len(truth.clues),
    )


def _ratio(sums: Floats) -> Floats:
    """First over second of (..., 2); 0 where the second is 0."""
    part, whole = sums[..., 0], sums[..., 1]
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def _f1(sums: Floats) -> Floats:
    """Harmonic mean of precision and recall of the four counts (..., 4)."""
    precision, recall = _ratio(sums[..., [0, 2]]), _ratio(sums[..., [1, 3]])
    return _ratio(np.stack([2 * precision * recall, precision + recall], axis=-1))


def _chance(named: Sequence[frozenset[str]], truths: Sequence[ClueTruth], seed: int) -> float:
    """Mean clue F1 with the truths handed round among the clips."""
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(CHANCE_ROUNDS):
        order = rng.permutation(len(truths))
        rows = [_counts(clues, truths[place]) for clues, place in zip(named, order, strict=True)]
        scores.append(float(_f1(np.array(rows, float).sum(axis=0))))
    return float(np.mean(scores))


def _repetition(text: str) -> float:
    grams = _grams(_words(text), REPEATED)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _grams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _refuse_misfit(
    reasons: Sequence[str], truths: Sequence[ClueTruth], lexicon: Mapping[str, Sequence[str]]
) -> None:
    if not reasons or len(reasons) != len(truths):
        raise ConfigError(f"{len(reasons)} reasons, {len(truths)} truths. Give one of each a clip.")
    known = set(lexicon)
    if unknown := sorted({clue for truth in truths for clue in truth.clues | truth.also} - known):
        raise ConfigError(f"the lexicon has no phrase for {', '.join(unknown)}. Add phrases, or drop them.")
