"""Pose of a head and the state of a face: what a renderer needs besides the identity.

Knows nothing of time: `performance` says which pose and which units stand at a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emo.corpora.rendered.units import BLINK, JAW_DROP, LIPS_PART, UNITS


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """`dx`, `dy`: shift in face units; `roll` in radians; `yaw`: how far the features move across the
    head, in face units; `gaze`: -1 (left) to 1 (right)."""

    dx: float = 0.0
    dy: float = 0.0
    roll: float = 0.0
    yaw: float = 0.0
    gaze: float = 0.0


STILL = Pose()


class Expression:
    """Action units by number, 0 where none is given, and what several of them do together."""

    def __init__(self, units: Mapping[int, float]) -> None:
        unknown = sorted(set(units) - set(UNITS))
        if unknown:
            raise KeyError(f"no such action units: {unknown}; there are {list(UNITS)}")
        self._units = dict.fromkeys(UNITS, 0.0) | {unit: float(value) for unit, value in units.items()}

    def __getitem__(self, unit: int) -> float:
        return self._units[unit]

    @property
    def blink(self) -> float:
        """How far the lids are closed, 0 to 1."""
        return self._units[BLINK]

    @property
    def jaw(self) -> float:
        """How far the chin has dropped, in face units."""
        return 0.17 * self._units[JAW_DROP] + 0.02 * self._units[LIPS_PART]

    @property
    def cheeks(self) -> float:
        """How far the cheeks are raised, 0 to about 1."""
        return 0.7 * self._units[6] + 0.5 * self._units[12]
