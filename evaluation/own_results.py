"""Results of one's own, read from the scores.json that `emo evaluate`, `emo score` and `emo judge` write.

Knows the shapes of these files, never what made the answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emo.errors import ConfigError
from emo.evaluation.published import Reading

FILE, ANSWERS = "scores.json", "answers.jsonl"
OVERALL = ("weighted_f1", "uar", "war")
READINGS: tuple[Reading, ...] = ("official", "strict")


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnResult:
    """Scores by key, `recall:CLASS` among them, with 95 % intervals where there are some.

    `support` counts the clips of each class; `reading` is how answers were read, as in `published`; `judge`
    is the model that scored.
    """

    name: str
    path: Path
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    n: int
    invalid_rate: float
    support: Mapping[str, int] = field(default_factory=dict)
    judge: str = ""
    reading: Reading = "strict"


def answers_in(place: Path) -> Path:
    """The file of answers in the folder `place` of a result; `place` itself where it is none or has none."""
    return place / ANSWERS if (place / ANSWERS).is_file() else place


def read_own(place: str) -> list[OwnResult]:
    """Results of FOLDER or scores.json at `place`, under the name N where it is given as N=PLACE.

    A published recipe that was asked again gives one result for each reading of its answers. ConfigError
    where there is no such file or it is not of this shape.
    """
    name, _, rest = place.rpartition("=")
    path = Path(rest)
    path = path / FILE if path.is_dir() else path
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path}: no scores ({error}). `emo evaluate --out` and `emo score --out` write them."
        ) from error
    if isinstance(data, dict) and "scored_split" in data:
        raise ConfigError(
            f"{path} is what training wrote of itself. Score the model and name that folder: "
            f"emo evaluate --model {path.parent} --out {path.parent}/test"
        )
    called = name or (path.parent.name if path.name == FILE else path.stem) or str(path)
    try:
        return list(_results(called, path, data))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ConfigError(f"{path}: not scores of emo: {error!r}. Write them anew.") from error


def _results(name: str, path: Path, data: Mapping[str, Any]) -> list[OwnResult]:
    if "recipe" in data:
        return [
            _one(f"{name} ({reading})", path, data[reading], reading)
            for reading in READINGS
            if data.get(reading)
        ]
    return [_one(name, path, data, "strict")]


def _one(name: str, path: Path, data: Mapping[str, Any], reading: Reading) -> OwnResult:
    values: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    support: dict[str, int] = {}
    for key, score in (data.get("scores") or {}).items():
        values[key] = float(score["value"])
        intervals[key] = (float(score["ci"][0]), float(score["ci"][1]))
    for key in OVERALL:
        if key in data:
            values[key] = float(data[key])
    if "ci" in data and "weighted_f1" in data and data.get("clusters") != 1:  # one speaker has no interval
        intervals["weighted_f1"] = (float(data["ci"][0]), float(data["ci"][1]))
    for label, row in (data.get("per_class") or {}).items():
        values[f"recall:{label}"] = float(row["recall"])
        support[label] = int(row["support"])
    return OwnResult(
        name=name,
        path=path,
        values=values,
        intervals=intervals,
        n=int(data["n"]),
        invalid_rate=float(data.get("invalid_rate", 0.0)),
        support=support,
        judge=str(data.get("judge") or ""),
        reading=reading,
    )
