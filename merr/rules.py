"""Which action units speak for which emotion, and whether those of a clip do.

Sources: MER-Factory's table ("logic from Emotion-LLaMA") and a third party's copy of the paper's; they differ
in contempt and doubt. The bar of half the units present at a mean intensity is MER-Factory's too. AU14 for
happy was a judgement call, and AU10 often fires while somebody speaks (Emotion-LLaMA issue 97).

Axes: F frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emo.config.merr import MerrConfig, PeakRule
from emo.extractors.action_units import BLINK, UnitTable

NEUTRAL = "neutral"
SPEECH = (25, 26)  # moved by talking in most frames, whatever is felt
HELD_FROM = 0.99  # of the largest sum
FREQUENT = 5  # how many units the rule `frequent` sums

_SHARED: Mapping[str, tuple[int, ...]] = {
    "happy": (6, 12, 14),
    "sad": (1, 4, 15, 14),
    "surprise": (1, 2, 5, 26),
    "fear": (1, 2, 4, 5, 7, 20, 26),
    "angry": (4, 5, 7, 23, 10, 17),
    "worried": (28, 20),
}
RULES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "mer-factory": {**_SHARED, "contempt": (12, 10, 14, 17), "disgust": (9, 15)},
    "paper-copy": {**_SHARED, "contempt": (12, 10, 15, 17), "doubt": (25,)},
}

# Units that no neutral face moves.
EXPRESSIVE = tuple(
    sorted({unit for table in RULES.values() for units in table.values() for unit in units} - {*SPEECH})
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """How far the units of `label` are there at `row` of a clip's table: the share of them that is present,
    and their mean intensity (0..5), a unit without an intensity column, such as AU28, left out."""

    label: str
    row: int
    share: float
    intensity: float

    def bears_out(self, config: MerrConfig) -> bool:
        """Whether this is enough to keep the label; for neutral nothing may be there."""
        if self.label == NEUTRAL:
            return self.share == 0
        return self.share >= config.least_share and self.intensity >= config.least_intensity

    @property
    def weight(self) -> float:
        """What labels are compared by."""
        return self.share * self.intensity


def rules_for(config: MerrConfig) -> Mapping[str, tuple[int, ...]]:
    """The units of each of the build's labels that has a rule."""
    return {label: units for label, units in RULES[config.rules].items() if label in config.labels}


def evidence(table: UnitTable, config: MerrConfig) -> dict[str, Evidence]:
    """The evidence for each label that has a rule, each where `config.peak` looks for it.

    That of neutral is how many units of any rule are present at the peak of all of them, speech left out.
    """
    found = {label: _evidence(table, label, units, config.peak) for label, units in rules_for(config).items()}
    return {**found, NEUTRAL: _evidence(table, NEUTRAL, EXPRESSIVE, "emotion")}


def supported(found: Mapping[str, Evidence], label: str, config: MerrConfig) -> bool:
    """Whether the face bears `label` out."""
    return label in found and found[label].bears_out(config)


def label_by_rules(found: Mapping[str, Evidence], config: MerrConfig) -> str | None:
    """The label that the face bears out best; None where it shows something that no label is made of.

    A label whose units speech alone moves, as doubt's in one of the tables, is only ever confirmed: proposed
    from the face it would be the label of everybody who talks.
    """
    by_talking = {label for label, units in rules_for(config).items() if set(units) <= set(SPEECH)}
    proposed = set(config.labels) - by_talking
    fitting = [each for each in found.values() if each.label in proposed and each.bears_out(config)]
    return max(fitting, key=lambda each: each.weight).label if fitting else None


def peak_row(table: UnitTable, label: str, config: MerrConfig) -> int:
    """The row of the table that shows `label` best. A label without a rule is looked for in all units."""
    units = rules_for(config).get(label, ())
    return _peak(table, units, config.peak)


def summed_peak(table: UnitTable, units: Sequence[int]) -> int:
    """The row with the largest summed intensity of `units`; of all but the blink where it has none of them.

    An expression is held: of the rows within 1 % of the largest the middle one is taken. Source of the sum:
    Emotion-LLaMA, MERR/README.md, surprise: AU05 .36 + AU26 1.02 beats 0 + 1.25.
    """
    chosen = [unit for unit in units if unit in table.levels] or [
        unit for unit in table.levels if unit != BLINK
    ]
    total = np.sum([table.levels[unit] for unit in chosen], axis=0)
    held = np.flatnonzero(total >= total.max() * HELD_FROM - 1e-9)
    return int(held[len(held) // 2])


def units_at(table: UnitTable, row: int) -> dict[int, float]:
    """Intensities (0..5) of the units present at a row, strongest first, blink and unknown units left out.

    A unit that has presence only counts with intensity 0.
    """
    found = {
        unit: float(table.levels[unit][row]) if unit in table.levels else 0.0
        for unit in _units(table)
        if unit != BLINK and _present(table, unit)[row]
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def units_seen(table: UnitTable) -> list[int]:
    """Units that are present in any frame, blink left out."""
    return [unit for unit in _units(table) if unit != BLINK and bool(_present(table, unit).any())]


def _evidence(table: UnitTable, label: str, units: Sequence[int], rule: PeakRule) -> Evidence:
    row = _peak(table, units, rule)
    there = [bool(_present(table, unit)[row]) for unit in units]
    levels = [float(table.levels[unit][row]) for unit in units if unit in table.levels]
    return Evidence(
        label=label,
        row=row,
        share=sum(there) / len(units),
        intensity=sum(levels) / len(levels) if levels else 0.0,
    )


def _peak(table: UnitTable, units: Sequence[int], rule: PeakRule) -> int:
    if rule == "emotion":
        return summed_peak(table, units)
    if rule == "frequent":
        return summed_peak(table, _frequent(table))
    return summed_peak(table, ())


def _frequent(table: UnitTable) -> list[int]:
    """The units present in most frames, those that speech moves left out."""
    counts = {unit: int(_present(table, unit).sum()) for unit in table.levels if unit not in (BLINK, *SPEECH)}
    often = sorted((unit for unit, count in counts.items() if count), key=lambda unit: (-counts[unit], unit))
    return often[:FREQUENT]


def _units(table: UnitTable) -> list[int]:
    return sorted({*table.levels, *table.present})


def _present(table: UnitTable, unit: int) -> np.typing.NDArray[np.bool_]:
    """Whether a unit is present (F,): as OpenFace says, else from intensity 1 on, which is its own bar."""
    if unit in table.present:
        return table.present[unit]
    if unit in table.levels:
        return table.levels[unit] >= 1.0
    return np.zeros(len(table.times), dtype=bool)
