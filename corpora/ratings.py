"""What a manifest says of clips beside the label: columns `valence` (or `val`) and `votes`.

Votes are how many annotators chose each label: {"happy": 7, "neutral": 3}, in CSV as that JSON in a cell.
Opens no media file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.manifest import manifest_in, manifest_rows
from emo.errors import ConfigError

VALENCES = ("valence", "val")
VOTES = "votes"
MISTAKES_SHOWN = 20


def read_ratings(
    place: Path, clips: Sequence[Clip]
) -> tuple[dict[str, float], dict[str, Mapping[str, float]]]:
    """Valence and votes by clip id; `clips` are those that `clips_in` read at `place`.

    A clip whose cell is empty is left out. ConfigError lists values that are no numbers and votes that are
    no object of numbers.
    """
    manifest = manifest_in(place)
    if manifest.suffix.lower() not in (".jsonl", ".csv"):
        return {}, {}
    valence: dict[str, float] = {}
    votes: dict[str, Mapping[str, float]] = {}
    mistakes: list[str] = []
    for clip, row in zip(clips, manifest_rows(manifest), strict=True):
        given = next((row[name] for name in VALENCES if row.get(name) not in (None, "")), None)
        number = None if given is None else _number(given)
        if given is not None and number is None:
            mistakes.append(f"{manifest}: clip {clip.clip_id!r}: valence {given!r} is no number.")
        if number is not None:
            valence[clip.clip_id] = number
        said = row.get(VOTES)
        counts = None if said in (None, "") else _counts(said)
        if counts is not None:
            votes[clip.clip_id] = counts
        elif said not in (None, ""):
            example = '{"happy": 7, "neutral": 3}'
            mistakes.append(f"{manifest}: clip {clip.clip_id!r}: votes {said!r} are not like {example}.")
    if mistakes:
        raise ConfigError(*mistakes[:MISTAKES_SHOWN])
    return valence, votes


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _counts(value: Json) -> dict[str, float] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, dict):
        return None
    counts = {label: _number(count) for label, count in value.items()}
    if any(count is None or count < 0 for count in counts.values()):
        return None
    return {label: count for label, count in counts.items() if count is not None}
