"""Strict reading of settings in YAML: every mistake at once, an unknown key answered with the nearest known.

Knows no setting by name: dataclasses say which keys there are, and which types.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from emo.errors import ConfigError, hint

SUFFIX = ".yaml"
T = TypeVar("T")


def names_in(package: str) -> list[str]:
    """Names of the YAML files that come with `package`, without their ending."""
    return sorted(
        item.name.removesuffix(SUFFIX) for item in files(package).iterdir() if item.name.endswith(SUFFIX)
    )


def load_named(package: str, name_or_file: str) -> dict[str, Any]:
    """The keys of the YAML file of that name in `package`, or else of that path; ConfigError as `parse`, and
    where there is neither."""
    names = names_in(package)
    if name_or_file in names:
        return parse((files(package) / f"{name_or_file}{SUFFIX}").read_text(encoding="utf-8"), name_or_file)
    try:
        text = Path(name_or_file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{name_or_file}: neither a recipe nor a readable file: {error}. Recipes: {', '.join(names)}."
        ) from error
    return parse(text, name_or_file)


def parse(text: str, where: str) -> dict[str, Any]:
    """The keys of a YAML `text`, none of an empty one; ConfigError where it is not `key: value` lines.

    Messages begin with `where`.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: cannot be read as YAML: {error}.") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(
            f"{where}: holds {type(data).__name__}, not `key: value` lines. Write one setting a line."
        )
    return data


def checked(
    kind: type[T],
    data: object,
    where: str,
    mistakes: Sequence[str] = (),
    contradictions: Callable[[T], list[str]] = lambda _: [],
) -> T:
    """`data` as a `kind`; ConfigError with the `mistakes` found before and all that are found now.

    `contradictions` finds those that types cannot say, where the types are right.
    """
    found = list(mistakes)
    try:
        value = TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        found += [f"{where}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ConfigError(*found) from error
    found += [f"{where}: {mistake}" for mistake in contradictions(value)]
    if found:
        raise ConfigError(*found)
    return value


def unknown_keys(data: object, kind: type[Any], where: str) -> list[str]:
    """A mistake for each key of `data` that is no field of the dataclass `kind`."""
    known = [field.name for field in fields(kind)]
    return [f"{where}: {key}: unknown; {hint(key, known)}" for key, _ in items(data) if key not in known]


def items(data: object) -> list[tuple[str, object]]:
    """Keys and values of a mapping; none of anything else, which is for `checked` to refuse."""
    return [(str(key), value) for key, value in data.items()] if isinstance(data, dict) else []
