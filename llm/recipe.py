"""Recipes: YAML files that say how a LLaMA stage is trained, read strictly. Trains nothing.

A recipe is one of `llm/recipes` by name, or a file of the user's. All mistakes are reported at once and an
unknown key is answered with the nearest known one.
"""

from __future__ import annotations

from typing import Any, cast

from pydantic import TypeAdapter

from emo.canonical import Json
from emo.config.llm import LlmConfig, LoraSettings, StageConfig
from emo.config.strict import checked, items, load_named, names_in, unknown_keys
from emo.errors import hint
from emo.labels import LABEL_SETS
from emo.llm.contradictions import contradictions

RECIPES = "emo.llm.recipes"
_ADAPTER = TypeAdapter(LlmConfig)


def recipe_names() -> list[str]:
    """Names of the recipes that come with emo."""
    return names_in(RECIPES)


def load_recipe(name_or_file: str) -> LlmConfig:
    """The recipe of that name or in that file; ConfigError with every mistake in it."""
    return config_from(load_named(RECIPES, name_or_file), name_or_file)


def config_from(data: dict[str, Any], where: str) -> LlmConfig:
    """The settings in plain `data`; `where` names their place in the messages of the ConfigError.

    `labels` may be the name of a label set, as in `labels: dfew`.
    """
    mistakes = unknown_keys(data, LlmConfig, where)
    mistakes += unknown_keys(data.get("lora"), LoraSettings, f"{where}: lora")
    for name, stage in items(data.get("stages")):
        mistakes += unknown_keys(stage, StageConfig, f"{where}: stages.{name}")
    plain, more = _with_named_labels(data, where)
    return checked(LlmConfig, plain, where, mistakes + more, contradictions)


def config_to_json(config: LlmConfig) -> dict[str, Json]:
    """Plain JSON of every setting; `config_from` is its inverse."""
    return cast(dict[str, Json], _ADAPTER.dump_python(config, mode="json"))


def _with_named_labels(data: dict[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """`data` with every label set that is named spelt out, and what cannot be."""
    found, mistakes = _with_label_set(data, where)
    stages = {}
    for name, stage in items(data.get("stages")):
        stages[name], more = _with_label_set(stage, f"{where}: stages.{name}")
        mistakes += more
    return {**cast(dict[str, Any], found), **({"stages": stages} if stages else {})}, mistakes


def _with_label_set(data: object, where: str) -> tuple[object, list[str]]:
    """`data` with the labels of a set in the place of its name, and the mistake if there is no such set."""
    name = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(name, str):
        return data, []
    if name not in LABEL_SETS:
        return {**data, "labels": ()}, [f"{where}: labels: no set {name!r}; {hint(name, LABEL_SETS)}"]
    return {**data, "labels": LABEL_SETS[name]}, []
