"""Published results as recipes: how a set is asked, how answers are read, and which figures were reported.

A recipe is one of `evaluation/recipes` by name, or a YAML file. Runs nothing and knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from emo.config.strict import checked, load_named, names_in, unknown_keys
from emo.evaluation.intervals import Metric

RECIPES = "emo.evaluation.recipes"
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
    return names_in(RECIPES)


def load_published(name_or_file: str) -> EvaluationRecipe:
    """The recipe of that name or in that file; ConfigError with every mistake in it."""
    data = load_named(RECIPES, name_or_file)
    mistakes = unknown_keys(data, EvaluationRecipe, name_or_file)
    rows = data.get("expected")
    for row in rows if isinstance(rows, list) else []:
        mistakes += unknown_keys(row, Expected, f"{name_or_file}: expected")
    return checked(EvaluationRecipe, data, name_or_file, mistakes)
