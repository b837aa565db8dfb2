"""Published results as recipes: how a set is asked, how answers are read, and which figures were reported.

A recipe is one of `evaluation/recipes` by name, or a YAML file. Runs nothing and knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import TypeAdapter, ValidationError

from emo.errors import ConfigError
from emo.evaluation.intervals import Metric

Reading = Literal["strict", "official"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """A reported figure: 0 to 1, of which weights, and where it stands."""

    metric: Metric
    value: float
    weights: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRecipe:
    """How a published figure came about, as far as it can be asked again.

    `labels` are scored and `asked` are named in the question (often more). `template` is a layout of the
    prompt. `reading` is how the reported figures read an answer: "official" takes the last word and
    turns an unknown one into a class; the strict reading is always shown beside it. `n` and
    `support` are the numbers of clips, in all and by class, where they are known.
    """

    name: str
    about: str
    labels: tuple[str, ...]
    asked: tuple[str, ...]
    template: str
    reading: Reading
    max_new_tokens: int
    expected: tuple[Expected, ...]
    n: int = 0
    support: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def published_names() -> list[str]:
    """Names of the recipes that come with emo."""
    found = files("emo.evaluation.recipes").iterdir()
    return sorted(item.name.removesuffix(".yaml") for item in found if item.name.endswith(".yaml"))


def load_published(name_or_file: str) -> EvaluationRecipe:
    """The recipe of that name or in that file; ConfigError with every mistake in it."""
    if name_or_file in published_names():
        text = (files("emo.evaluation.recipes") / f"{name_or_file}.yaml").read_text(encoding="utf-8")
    else:
        text = _text_of(Path(name_or_file))
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name_or_file}: cannot be read as YAML: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{name_or_file}: holds {type(data).__name__}, not `key: value` lines.")
    mistakes = _unknown(data, EvaluationRecipe, name_or_file)
    for row in data.get("expected") or []:
        mistakes += _unknown(row, Expected, f"{name_or_file}: expected")
    try:
        recipe = TypeAdapter(EvaluationRecipe).validate_python(data)
    except ValidationError as error:
        mistakes += [
            f"{name_or_file}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors()
        ]
    if mistakes:
        raise ConfigError(*mistakes)
    return recipe


def _unknown(data: dict[str, Any], kind: type[Any], where: str) -> list[str]:
    known = [field.name for field in fields(kind)]
    return [f"{where}: {key}: unknown; known keys: {', '.join(known)}." for key in data if key not in known]


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: neither a recipe nor a readable file: {error}. Recipes: {', '.join(published_names())}."
        ) from error
