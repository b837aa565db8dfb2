"""Results of one's own, read from the scores.json that `emo evaluate`, `emo score` and `emo judge` write.

Knows the shapes of these files, never what made the answers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from emo.errors import ConfigError
from emo.evaluation.groups import GroupScores
from emo.evaluation.published import Reading
from emo.rights import DataRights, united

FILE, ANSWERS = "scores.json", "answers.jsonl"
OVERALL = ("weighted_f1", "uar", "war")
READINGS: tuple[Reading, ...] = ("official", "strict")


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnResult:
    """Scores by key, `recall:CLASS` among them, with 95 % intervals where there are some.

    `support` counts the clips of each class; `reading` is how answers were read, as in `published`; `judge`
    is the model that scored. Of several `runs` that differ in their seed, `values` are means, `deviations`
    standard deviations (n - 1), and `paths` the files. `groups` has the scores by declared group of each run
    that was asked for them, `data` what the owners of the clips allow.
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
    runs: int = 1
    deviations: Mapping[str, float] = field(default_factory=dict)
    groups: tuple[GroupScores, ...] = ()
    data: tuple[DataRights, ...] = ()
    paths: tuple[Path, ...] = ()

    @property
    def source(self) -> str:
        """The files, for people."""
        return ", ".join(map(str, self.paths or (self.path,)))

    def to_json(self) -> dict[str, object]:
        """Plain JSON."""
        return {
            "name": self.name,
            "files": [str(path) for path in self.paths or (self.path,)],
            "n": self.n,
            "runs": self.runs,
            "invalid_rate": self.invalid_rate,
            "scores": {
                key: {
                    "value": value,
                    "ci": list(self.intervals[key]) if key in self.intervals else None,
                    "std": self.deviations.get(key),
                }
                for key, value in self.values.items()
            },
            "groups": [one.to_json() for one in self.groups],
            "data": [record.to_json() for record in self.data],
        }


def answers_in(place: Path) -> Path:
    """The file of answers in the folder `place` of a result; `place` itself where it is none or has none."""
    return place / ANSWERS if (place / ANSWERS).is_file() else place


def named(place: str) -> tuple[str, Path]:
    """The name N and the path of N=PATH; "" and the path where there is no name, as of a path with a `=`."""
    name, _, rest = place.rpartition("=")
    return ("", Path(place)) if Path(place).exists() else (name.strip(), Path(rest))


def read_own(place: str) -> list[OwnResult]:
    """Results of FOLDER or scores.json at `place`, under the name N where it is given as N=PLACE.

    A published recipe that was asked again gives one result for each reading of its answers. ConfigError
    where there is no such file or it is not of this shape.
    """
    name, path = named(place)
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


def over_runs(results: Sequence[tuple[str, OwnResult]]) -> list[OwnResult]:
    """One result a system: those that were given the same name are runs of it, in the order they came.

    Each comes with the name it was given, "" where it was not: then it stands alone, under its path where
    another is called as it is. ConfigError where runs of one name are of other clips or scores.
    """
    called = Counter(result.name for _, result in results)
    systems: dict[str, list[OwnResult]] = {}
    for given, result in results:
        alone = not given and called[result.name] > 1
        systems.setdefault(str(result.path.parent) if alone else result.name, []).append(result)
    return [_joined(name, runs) for name, runs in systems.items()]


def _joined(name: str, runs: Sequence[OwnResult]) -> OwnResult:
    first = runs[0]
    if len(runs) == 1:
        return replace(first, name=name)
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise ConfigError(f"{name}: {first.path} is given twice. A run counts once.")
    for run in runs[1:]:
        if run.runs > 1 or _kind(run) != _kind(first):
            raise ConfigError(
                f"{name}: {first.path} and {run.path} are no runs of one system on the same clips "
                f"(n {first.n} and {run.n}). Give each a name of its own: OTHER={run.path.parent}"
            )
    shared = [key for key in first.values if all(key in run.values for run in runs)]
    return replace(
        first,
        name=name,
        values={key: fmean(run.values[key] for run in runs) for key in shared},
        deviations={key: stdev(run.values[key] for run in runs) for key in shared},
        intervals={},
        invalid_rate=fmean(run.invalid_rate for run in runs),
        runs=len(runs),
        groups=tuple(group for run in runs for group in run.groups),
        data=united(*(run.data for run in runs)),
        paths=tuple(run.path for run in runs),
    )


def _kind(run: OwnResult) -> tuple[object, ...]:
    """What is equal in runs of one system."""
    return (run.n, dict(run.support), run.judge, run.reading)


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
    if ece := (data.get("calibration") or {}).get("ece"):
        values["ece"] = float(ece["value"])
        intervals["ece"] = (float(ece["ci"][0]), float(ece["ci"][1]))
    combined = data.get("combined") or {}
    same = combined.get("n") == data["n"]  # else it would stand beside an n that is not its own
    for key, score in (combined["scores"] if same else {}).items():
        values.setdefault(key, float(score["value"]))
        intervals.setdefault(key, (float(score["ci"][0]), float(score["ci"][1])))
    if "ci" in data and "weighted_f1" in data:
        intervals["weighted_f1"] = (float(data["ci"][0]), float(data["ci"][1]))
    for label, row in (data.get("per_class") or {}).items():
        values[f"recall:{label}"] = float(row["recall"])
        support[label] = int(row["support"])
    alone = data.get("clusters") == 1  # one speaker has no interval
    seeds = data.get("seeds") or {}
    deviations = {key: float(row["std"]) for key, row in seeds.items()}
    values |= {key: float(row["mean"]) for key, row in seeds.items()}
    rate = float(data.get("invalid_rate", 0.0))
    ends = [end for pair in intervals.values() for end in pair]
    if not all(map(isfinite, (*values.values(), *deviations.values(), *ends, rate))):
        raise ValueError("a score is not a finite number")
    return OwnResult(
        name=name,
        path=path,
        values=values,
        intervals={} if alone else {key: ends for key, ends in intervals.items() if key not in deviations},
        runs=max([int(row["runs"]) for row in seeds.values()], default=1),
        deviations=deviations,
        groups=(GroupScores.from_json(data["groups"]),) if data.get("groups") else (),
        n=int(data["n"]),
        invalid_rate=rate,
        support=support,
        judge=str(data.get("judge") or ""),
        reading=reading,
    )
