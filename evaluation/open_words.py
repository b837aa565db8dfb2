"""Scores of open-vocabulary answers, a list of emotion words a clip: set accuracy and recall, emotion wheels,
hit rate. Knows words, never models.

Axes: N clips, five wheels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from emo.errors import ConfigError
from emo.evaluation.intervals import Floats, Statistic
from emo.evaluation.summed import Summed, mean_of, share
from emo.evaluation.wheel_files import WHEELS
from emo.evaluation.wheels import LEVELS, EmotionWheels

Words = Sequence[str]


def set_overlap(
    truth: Sequence[Words],
    predicted: Sequence[Words | None],
    synonyms: Sequence[Sequence[Words]] | None = None,
) -> Summed:
    """Set accuracy |G & P| / |P| and recall |G & P| / |G| of MER2024-OV, and their mean, the headline.

    `synonyms` are the groups of words of each clip that mean the same, as a judge found them: each word
    counts as the first of its group, the last group that has it; without them only equal words agree. An
    empty answer has 0 of both. Source: MER2024 (arXiv:2404.17113), main-ov.py of MERTools. ConfigError where
    lengths differ or a clip has no true words.
    """
    _refuse_misfit(truth, predicted)
    groups = synonyms if synonyms is not None else [()] * len(truth)
    rows = np.array(
        [_overlap(one, other, names) for one, other, names in zip(truth, predicted, groups, strict=True)],
        np.float64,
    )
    accuracy, recall = mean_of(0, 2), mean_of(1, 2)

    def average(sums: Floats) -> Floats:
        return np.asarray((accuracy(sums) + recall(sums)) / 2)

    return Summed(
        rows=rows,
        statistics={"average": average, "set_accuracy": accuracy, "set_recall": recall},
        invalid=_empty(predicted),
        details={"labels_per_clip": _mean_length(predicted), "true_labels_per_clip": _mean_length(truth)},
        notes=()
        if synonyms is not None
        else ("no synonym groups: only equal words agree, which is below what a judge's groups give.",),
    )


def wheel_scores(truth: Sequence[Words], predicted: Sequence[Words | None], wheels: EmotionWheels) -> Summed:
    """F, precision and recall on the emotion wheels, levels 1 and 2; level 1's F is the headline.

    Per wheel, over the clips whose true words have a sector: P is the mean of |G & P| / |P|, R that of
    |G & P| / |G|, F = 2 P R / (P + R) of these means; scores are means over the five wheels. Source:
    MERTools, MER2025_Track23. ConfigError as `set_overlap`.
    """
    _refuse_misfit(truth, predicted)
    columns, statistics, details = [], {}, {}
    for place, level in enumerate(LEVELS):
        rows = np.array(
            [
                [
                    figure
                    for wheel in range(WHEELS)
                    for figure in _on_wheel(one, other or (), wheels, wheel, level)
                ]
                for one, other in zip(truth, predicted, strict=True)
            ],
            np.float64,
        )
        columns.append(rows)
        for name in ("f", "precision", "recall"):
            statistics[f"{name}_level{level}"] = _of_level(name, place)
        details[f"kept_level{level}"] = [int(kept) for kept in rows.sum(axis=0)[::3]]
    statistics["mean_f"] = _mean_level
    return Summed(
        rows=np.concatenate(columns, axis=1),
        statistics=statistics,
        invalid=_empty(predicted),
        details={
            "version": wheels.version,
            **details,
            "labels_per_clip": _mean_length(predicted),
            "true_labels_per_clip": _mean_length(truth),
        },
        notes=(f"vocabulary {wheels.version}; scores of another version are not comparable.",),
    )


def hit_rate(truth: Sequence[str], predicted: Sequence[Words | None], wheels: EmotionWheels) -> Summed:
    """The share of clips whose one true label is on the sector of a predicted word, level 1, mean of wheels.

    Clips whose label is on no sector of a wheel do not count there: `effective_n` and `dropped` say how
    many and which classes. A long list of words hits more: read it beside `labels_per_clip`. Source:
    MER-UniBench (arXiv:2501.16566). ConfigError as `set_overlap`.
    """
    single = [(label,) for label in truth]
    _refuse_misfit(single, predicted)
    rows = np.zeros((len(truth), WHEELS, 2))
    dropped: list[dict[str, int]] = []
    for wheel in range(WHEELS):
        lost: Counter[str] = Counter()
        for clip, (label, words) in enumerate(zip(truth, predicted, strict=True)):
            sector = wheels.sector(label.strip().lower(), wheel)
            if sector is None:
                lost[label] += 1
            else:
                rows[clip, wheel] = sector in wheels.sectors(words or (), wheel), 1
        dropped.append(dict(sorted(lost.items())))

    def statistic(sums: Floats) -> Floats:
        return np.asarray(share(sums[..., 0], sums[..., 1]).mean(axis=-1))

    kept = [int(number) for number in rows[..., 1].sum(axis=0)]
    return Summed(
        rows=rows,
        statistics={"hit_rate": statistic},
        invalid=_empty(predicted),
        details={
            "version": wheels.version,
            "effective_n": kept,
            "dropped": dropped,
            "labels_per_clip": _mean_length(predicted),
        },
        notes=(
            f"vocabulary {wheels.version}; effective n by wheel {kept} of {len(truth)}; dropped, as they are "
            f"on no sector: {_dropped(dropped)}.",
        ),
    )


def _dropped(by_wheel: Sequence[Mapping[str, int]]) -> str:
    """Each class that a wheel drops, with its clips and those wheels."""
    wheels: dict[str, list[int]] = {}
    for number, lost in enumerate(by_wheel, start=1):
        for label in lost:
            wheels.setdefault(label, []).append(number)
    counts = {label: max(lost.get(label, 0) for lost in by_wheel) for label in wheels}
    told = [
        f"{label} ({counts[label]} clips, wheel {', '.join(map(str, numbers))})"
        for label, numbers in wheels.items()
    ]
    return "; ".join(told) or "none"


def _overlap(truth: Words, predicted: Words | None, groups: Sequence[Words]) -> tuple[float, float, float]:
    """Accuracy and recall of one clip, and 1."""
    first = {word.lower(): group[0].lower() for group in groups for word in group}
    true, said = (
        {first.get(word.lower(), word.lower()) for word in words} for words in (truth, predicted or ())
    )
    both = len(true & said)
    return (both / len(said) if said else 0.0, both / len(true) if said else 0.0, 1.0)


def _on_wheel(
    truth: Words, predicted: Words, wheels: EmotionWheels, wheel: int, level: int
) -> tuple[float, float, float]:
    """Whether the clip counts, and its precision and recall."""
    true = wheels.sectors(truth, wheel, level)
    if not true:
        return (0.0, 0.0, 0.0)
    said = wheels.sectors(predicted, wheel, level)
    both = len(true & said)
    return (1.0, both / len(said) if said else 0.0, both / len(true))


def _level(sums: Floats, place: int) -> Mapping[str, Floats]:
    """F, precision and recall of one level, means over the wheels, of sums (..., levels * 5 * 3)."""
    width = WHEELS * 3
    part = sums[..., place * width : (place + 1) * width].reshape(*sums.shape[:-1], WHEELS, 3)
    precision, recall = share(part[..., 1], part[..., 0]), share(part[..., 2], part[..., 0])
    f = share(2 * precision * recall, precision + recall)
    return {"f": f.mean(axis=-1), "precision": precision.mean(axis=-1), "recall": recall.mean(axis=-1)}


def _of_level(name: str, place: int) -> Statistic:
    return lambda sums: np.asarray(_level(sums, place)[name])


def _mean_level(sums: Floats) -> Floats:
    return np.asarray(sum(_level(sums, place)["f"] for place in range(len(LEVELS))) / len(LEVELS))


def _empty(predicted: Sequence[Words | None]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([not words for words in predicted], np.bool_)


def _mean_length(lists: Sequence[Words | None]) -> float:
    return float(np.mean([len(words or ()) for words in lists]))


def _refuse_misfit(truth: Sequence[Words], predicted: Sequence[Words | None]) -> None:
    if not truth or len(truth) != len(predicted):
        raise ConfigError(f"{len(truth)} true lists, {len(predicted)} predicted. Give one of each a clip.")
    if bare := [place for place, words in enumerate(truth) if not words]:
        raise ConfigError(
            f"{len(bare)} of {len(truth)} clips have no true words, the first is number {bare[0] + 1}. "
            "Leave those clips out."
        )
