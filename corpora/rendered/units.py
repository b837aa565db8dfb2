"""Facial action units: which exist, and which of them each class of emotion moves.

Units are numbers as in FACS (Ekman and Friesen 1978) and intensities run from 0 to 1 (OpenFace's scale
of 0 to 5 is five times that). Knows nothing of drawing or timing.
"""

from __future__ import annotations

from collections.abc import Mapping

BLINK = 45
LIPS_PART = 25
JAW_DROP = 26

# The seventeen units with an intensity in OpenFace 2.2; AU28 has presence only there.
UNITS: tuple[int, ...] = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
EXPRESSIVE: tuple[int, ...] = tuple(unit for unit in UNITS if unit != BLINK)
OPENFACE_SCALE = 5.0
PRESENT = 0.2  # intensity from which a unit counts as present (1 on OpenFace's scale)

# Several ways to show each class, after the prototypes of EMFACS; worried and doubt after MERR's table.
PROFILES: Mapping[str, tuple[Mapping[int, float], ...]] = {
    "neutral": ({}, {14: 0.15}, {25: 0.1}),
    "angry": (
        {4: 1.0, 5: 0.5, 7: 0.6, 23: 0.8},
        {4: 0.95, 7: 0.7, 9: 0.5, 10: 0.6, 25: 0.4},
        {4: 1.0, 7: 0.6, 17: 0.6, 23: 0.8},
    ),
    "happy": (
        {6: 0.8, 12: 1.0, 25: 0.6},
        {6: 0.7, 12: 0.9},
        {6: 0.9, 12: 1.0, 25: 0.8, 26: 0.3},
    ),
    "sad": (
        {1: 0.8, 4: 0.5, 15: 1.0, 17: 0.5},
        {1: 0.8, 15: 0.9},
        {1: 0.9, 4: 0.6, 15: 0.9, 17: 0.7, 7: 0.2},
    ),
    "worried": (
        {1: 0.8, 2: 0.3, 4: 0.7, 5: 0.5, 20: 0.8, 25: 0.3},
        {1: 0.7, 4: 0.7, 7: 0.3, 20: 0.9},
        {1: 0.8, 4: 0.6, 5: 0.6, 14: 0.4, 20: 0.7},
    ),
    "surprise": (
        {1: 0.9, 2: 0.95, 5: 0.8, 25: 0.8, 26: 0.8},
        {1: 0.9, 2: 0.9, 5: 0.9, 25: 0.6, 26: 0.6},
        {1: 1.0, 2: 1.0, 5: 0.8, 25: 0.6, 26: 0.3},
    ),
    "fear": (
        {1: 0.9, 2: 0.7, 4: 0.7, 5: 1.0, 20: 0.8, 25: 0.6, 26: 0.4},
        {1: 0.9, 2: 0.6, 4: 0.6, 5: 1.0, 7: 0.4, 20: 0.9},
    ),
    "contempt": (
        {12: 0.35, 14: 0.9, 10: 0.3},
        {14: 1.0, 17: 0.5},
        {10: 0.6, 12: 0.3, 14: 0.7, 17: 0.4},
    ),
    "doubt": (
        {2: 0.8, 4: 0.5, 17: 0.6},
        {2: 0.7, 4: 0.6, 14: 0.5, 23: 0.4},
        {2: 0.8, 7: 0.5, 17: 0.7, 25: 0.2},
    ),
}
# Units that people move without meaning an emotion by it.
IDLE_UNITS: tuple[int, ...] = (2, 7, 10, 14, 15, 17, 23)
