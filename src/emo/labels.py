"""Label sets of the field, in their official order, and the strict reading of a label from text.

Source of the order: Emotion-LLaMA, minigpt4/datasets/datasets/first_face.py at commit 4ee28d2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

MER2023: tuple[str, ...] = ("neutral", "angry", "happy", "sad", "worried", "surprise")
MERR: tuple[str, ...] = (*MER2023, "fear", "contempt", "doubt")
DFEW: tuple[str, ...] = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")

LABEL_SETS: Mapping[str, tuple[str, ...]] = {"mer2023": MER2023, "merr": MERR, "dfew": DFEW}


def parse_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that `text` names, or None: an answer is never repaired into a class.

    Where several labels are named the last one counts, as a reasoned answer ends with its conclusion.
    """
    words = re.findall(r"[a-z]+", text.lower())
    named = [word for word in words if word in labels]
    return named[-1] if named else None


def what_instead(unknown: Sequence[str], labels: Sequence[str]) -> str:
    """What to do about labels that are not among `labels`."""
    small = sorted({label.strip().lower() for label in unknown})
    if set(small) <= set(labels):
        return f"Write them as the label set does: {', '.join(small)}."
    return "Name another label set with --labels, or LABEL,LABEL,... of your own."
