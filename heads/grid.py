"""The grid of a sweep: settings and their values to one HeadConfig a cell.

`lr=1e-4,1e-3` and `head=attention,lmf` make four cells. A setting is a field of HeadConfig (lr for
learning_rate) or an option of the heads. Trains nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any, get_type_hints

from emo.config.heads import HeadConfig
from emo.config.strict import checked
from emo.errors import ConfigError, hint
from emo.heads.models import head_options

SHORT = {"lr": "learning_rate"}
FIXED = ("arrays", "options")  # no single values: they are named by --array and as options of their own
MOST_CELLS = 1000


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the grid: its values as they were written, by setting, and the settings they make."""

    values: Mapping[str, str]
    config: HeadConfig

    @property
    def name(self) -> str:
        """Its values in a row, safe as a folder's name."""
        told = ",".join(f"{key}={value}" for key, value in self.values.items())
        return re.sub(r"[^\w=,.+-]", "_", told)


def grid(sweeps: Sequence[str], base: HeadConfig, *, option: str = "--sweep") -> list[Cell]:
    """Every combination of the values of `sweeps` ("lr=1e-4,1e-3"), the last setting running fastest.

    `option` is what messages begin with.

    ConfigError lists every setting that is unknown or repeated, and every value that is of another type.
    """
    settings, mistakes = _settings(sweeps, option)
    if not mistakes and (count := _count(settings)) > MOST_CELLS:
        mistakes.append(f"the sweep has {count:,} cells, more than {MOST_CELLS:,}. Sweep fewer values.")
    if mistakes:
        raise ConfigError(*mistakes)
    cells = []
    for values in product(*settings.values()):
        try:
            cells.append(_cell(dict(zip(settings, values, strict=True)), base, option))
        except ConfigError as error:
            mistakes += [mistake for mistake in error.mistakes if mistake not in mistakes]
    if mistakes:
        raise ConfigError(*mistakes)
    names = [cell.name for cell in cells]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(*(f"{option}: {name} is there twice. Name each value once." for name in twice))
    return cells


def _settings(sweeps: Sequence[str], option: str) -> tuple[dict[str, list[str]], list[str]]:
    settings: dict[str, list[str]] = {}
    mistakes = []
    for sweep in sweeps:
        key, _, written = sweep.partition("=")
        values = [value.strip() for value in written.split(",") if value.strip()]
        if not key.strip() or not values:
            mistakes.append(f"{option} {sweep}: not SETTING=VALUE[,VALUE...], such as lr=1e-4,1e-3.")
        elif key.strip() in settings:
            mistakes.append(f"{option} {key.strip()}: is there twice. Name all its values in one.")
        else:
            settings[key.strip()] = values
    return settings, mistakes


def _count(settings: Mapping[str, Sequence[str]]) -> int:
    count = 1
    for values in settings.values():
        count *= len(values)
    return count


def _cell(values: dict[str, str], base: HeadConfig, option: str) -> Cell:
    known = {field.name for field in fields(HeadConfig)} - set(FIXED)
    head = values.get("head", base.head)
    allowed = head_options(head)
    own: dict[str, Any] = {}
    options, mistakes = dict(base.options), list[str]()
    for key, value in values.items():
        name = SHORT.get(key, key)
        if name in known:
            own[name] = _typed(name, value, option, mistakes)
        elif allowed is None or name in allowed:
            options[name] = _number(key, value, option, mistakes)
        else:
            near = hint(key, sorted({*known, *allowed, *SHORT}))
            mistakes.append(f"{option} {key}: neither a setting nor an option of the head {head!r}; {near}")
    if mistakes:
        raise ConfigError(*mistakes)
    config = replace(base, **own, options=options)
    if wrong := config.mistakes():
        raise ConfigError(*(f"{option} {mistake}" for mistake in wrong))
    return Cell(values, config)


def _typed(name: str, value: str, option: str, mistakes: list[str]) -> object:
    try:
        found: object = checked(get_type_hints(HeadConfig)[name], value, f"{option} {name}")
    except ConfigError as error:
        mistakes += [mistake.replace(": : ", ": ") for mistake in error.mistakes]
        return None
    return found


def _number(key: str, value: str, option: str, mistakes: list[str]) -> float:
    try:
        return float(value)
    except ValueError:
        mistakes.append(f"{option} {key}: {value!r} is no number.")
        return 0.0
