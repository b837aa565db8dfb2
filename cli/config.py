"""Loads `emo.yaml` strictly and hands its values to the verbs as click defaults."""

from __future__ import annotations

import difflib
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from emo.config.workspace import Workspace
from emo.errors import ConfigError


def load_workspace(path: Path) -> Workspace:
    """The workspace written in `path`; ConfigError with every mistake at once."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path}: cannot be read as YAML: {error}. `emo init` writes a fresh one."
        ) from error
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds {type(data).__name__}, not `key: value` lines.")
    mistakes = _unknown_keys(path, data)
    known = {key: value for key, value in data.items() if key in _names()}
    try:
        workspace = TypeAdapter(Workspace).validate_python(known)
    except ValidationError as error:
        mistakes += [
            f"{path}: {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        ]
    if mistakes:
        raise ConfigError(*mistakes)
    return workspace


def _names() -> list[str]:
    return [field.name for field in fields(Workspace)]


def _unknown_keys(path: Path, data: dict[object, object]) -> list[str]:
    mistakes = []
    for key in data:
        if key not in _names():
            near = difflib.get_close_matches(str(key), _names(), n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(_names())}."
            mistakes.append(f"{path}: {key}: unknown; {hint}")
    return mistakes


def default_map(workspace: Workspace, root: Path) -> dict[str, Any]:
    """Defaults of each verb, by click parameter name; paths are taken from the workspace's folder."""
    clips, cache = str(root / workspace.clips), str(root / workspace.cache)
    encoders, runs = ",".join(workspace.encoders), root / workspace.runs
    merr = str(root / workspace.merr) if workspace.merr else None
    store = {"cache": cache}
    return {
        "extract": {"clips": clips, "cache": cache, "encoder": encoders, "preset": workspace.preset},
        "cache": dict.fromkeys(("info", "ls", "verify", "export", "import"), store),
        "llm": {"tiny-base": {"merr": merr, "manifest": clips, "labels": workspace.labels}},
        "train-head": {
            "cache": cache,
            "manifest": clips,
            "features": encoders,
            "labels": workspace.labels,
            "head": workspace.head,
            "out": str(runs / "head"),
            "seed": workspace.seed,
        },
        "train-llm": {
            "cache": cache,
            "manifest": clips,
            "features": encoders,
            "merr": merr,
            "base": _base(workspace, root),
            "recipe": workspace.recipe,
            "out": str(runs / "llm"),
            "seed": workspace.seed,
        },
        "predict": {"cache": cache, "preset": workspace.preset, "model": _first_run(runs)},
        "evaluate": {"cache": cache, "manifest": clips, "model": _first_run(runs)},
        "calibrate": {"cache": cache, "manifest": clips, "model": _first_run(runs)},
    }


def _base(workspace: Workspace, root: Path) -> str | None:
    if not workspace.base:
        return None
    local = root / workspace.base
    return str(local) if local.exists() else workspace.base


def _first_run(runs: Path) -> str | None:
    return next((str(runs / name) for name in ("llm", "head") if (runs / name).exists()), None)
