"""Recipes: YAML files that say how a LLaMA stage is trained, read strictly. Trains nothing.

A recipe is one of `llm/recipes` by name, or a file of the user's. All mistakes are reported at once and an
unknown key is answered with the nearest known one.
"""

from __future__ import annotations

from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import TypeAdapter, ValidationError

from emo.canonical import Json
from emo.config.llm import LlmConfig, LoraSettings, StageConfig
from emo.errors import ConfigError
from emo.labels import LABEL_SETS
from emo.llm.contradictions import contradictions, hint

_ADAPTER = TypeAdapter(LlmConfig)


def recipe_names() -> list[str]:
    """Names of the recipes that come with emo."""
    found = files("emo.llm.recipes").iterdir()
    return sorted(item.name.removesuffix(".yaml") for item in found if item.name.endswith(".yaml"))


def load_recipe(name_or_file: str) -> LlmConfig:
    """The recipe of that name or in that file; ConfigError with every mistake in it."""
    if name_or_file in recipe_names():
        text = (files("emo.llm.recipes") / f"{name_or_file}.yaml").read_text(encoding="utf-8")
    else:
        text = _text_of(Path(name_or_file))
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name_or_file}: cannot be read as YAML: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{name_or_file}: holds {type(data).__name__}, not `key: value` lines.")
    return config_from(data, name_or_file)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: neither a recipe nor a readable file: {error}. Recipes: {', '.join(recipe_names())}."
        ) from error


def config_from(data: dict[str, Any], where: str) -> LlmConfig:
    """The settings in plain `data`; `where` names their place in the messages of the ConfigError.

    `labels` may be the name of a label set, as in `labels: dfew`.
    """
    mistakes = _unknown(data, LlmConfig, where)
    mistakes += _unknown(data.get("lora"), LoraSettings, f"{where}: lora")
    for name, stage in _items(data.get("stages")):
        mistakes += _unknown(stage, StageConfig, f"{where}: stages.{name}")
    plain, more = _with_named_labels(data, where)
    mistakes += more
    try:
        config = _ADAPTER.validate_python(plain)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ConfigError(*mistakes, *(f"{where}: {problem}" for problem in problems)) from error
    mistakes += [f"{where}: {mistake}" for mistake in contradictions(config)]
    if mistakes:
        raise ConfigError(*mistakes)
    return config


def config_to_json(config: LlmConfig) -> dict[str, Json]:
    """Plain JSON of every setting; `config_from` is its inverse."""
    return cast(dict[str, Json], _ADAPTER.dump_python(config, mode="json"))


def _unknown(data: object, kind: type[Any], where: str) -> list[str]:
    known = [field.name for field in fields(kind)]
    return [f"{where}: {key}: unknown; {hint(key, known)}" for key, _ in _items(data) if key not in known]


def _with_named_labels(data: dict[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """`data` with every label set that is named spelt out, and what cannot be."""
    found, mistakes = _with_label_set(data, where)
    stages = {}
    for name, stage in _items(data.get("stages")):
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


def _items(data: object) -> list[tuple[str, object]]:
    return [(str(key), value) for key, value in data.items()] if isinstance(data, dict) else []
