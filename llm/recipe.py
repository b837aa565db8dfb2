"""Recipes: YAML files that say how a LLaMA stage is trained, read strictly. Trains nothing.

A recipe is one of `llm/recipes` by name, or a file of the user's. All mistakes are reported at once and an
unknown key is answered with the nearest known one.
"""

from __future__ import annotations

import difflib
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import TypeAdapter, ValidationError

from emo.canonical import Json
from emo.config.llm import LlmConfig, LoraSettings, StageConfig
from emo.errors import ConfigError
from emo.llm.prompts import TASKS, TEMPLATES

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
    """The settings in plain `data`; `where` names their place in the messages of the ConfigError."""
    mistakes = _unknown(data, LlmConfig, where)
    mistakes += _unknown(data.get("lora"), LoraSettings, f"{where}: lora")
    for name, stage in _items(data.get("stages")):
        mistakes += _unknown(stage, StageConfig, f"{where}: stages.{name}")
    try:
        config = _ADAPTER.validate_python(data)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ConfigError(*mistakes, *(f"{where}: {problem}" for problem in problems)) from error
    mistakes += [f"{where}: {mistake}" for mistake in _contradictions(config)]
    if mistakes:
        raise ConfigError(*mistakes)
    return config


def config_to_json(config: LlmConfig) -> dict[str, Json]:
    """Plain JSON of every setting; `config_from` is its inverse."""
    return cast(dict[str, Json], _ADAPTER.dump_python(config, mode="json"))


def _unknown(data: object, kind: type[Any], where: str) -> list[str]:
    known = [field.name for field in fields(kind)]
    mistakes = []
    for key, _ in _items(data):
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}."
            mistakes.append(f"{where}: {key}: unknown; {hint}")
    return mistakes


def _items(data: object) -> list[tuple[str, object]]:
    return [(str(key), value) for key, value in data.items()] if isinstance(data, dict) else []


def _contradictions(config: LlmConfig) -> list[str]:
    """What types cannot say."""
    mistakes = []
    if config.template not in TEMPLATES:
        mistakes.append(f"template: no {config.template!r}; known: {', '.join(TEMPLATES)}.")
    if not config.stages:
        mistakes.append("stages: none. Give at least one.")
    if len(set(config.labels)) != len(config.labels) or not config.labels:
        mistakes.append("labels: give each label once, and at least one.")
    for name, stage in config.stages.items():
        mistakes += [f"stages.{name}.{mistake}" for mistake in _stage_contradictions(stage)]
    return mistakes


def _stage_contradictions(stage: StageConfig) -> list[str]:
    unknown = [task for task in stage.tasks if task not in TASKS]
    mistakes = [f"tasks: no {task!r}; known: {', '.join(TASKS)}." for task in unknown]
    shares = stage.tasks.values()
    if min(shares, default=0) < 0 or not any(shares):
        mistakes.append("tasks: shares must not be negative and one must be above 0.")
    counts = ("steps", "batch_size", "tasks_per_clip")
    return mistakes + [f"{key}: must be at least 1." for key in counts if getattr(stage, key) < 1]
