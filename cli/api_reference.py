"""The page of the Python interface: what `import emo` gives, from its own signatures and docstrings.

Knows nothing of what the objects do.
"""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Iterator
from typing import Any

import emo

HEAD = """\
# Python

Written by `make reference` from the docstrings; a test runs every example, in a folder with `clips.csv`,
`features.zarr` and `runs/head`. What is here stays; the rooms below (`emo.cache`, `emo.heads`) may change.
Axes: B clips, T frames, N tokens, D numbers of a feature. Times are in seconds. Every error is an
`emo.EmoError`; [exit codes](exit-codes.md) says what the commands make of each.
"""


def api_page() -> str:
    """Every name of `emo.__all__` in Markdown: signature, docstring, public members of classes."""
    return HEAD + "".join(_entry(name, getattr(emo, name)) for name in emo.__all__)


def _entry(name: str, one: Any) -> str:
    head = f"\n## emo.{name}\n\n"
    if inspect.isclass(one) and not issubclass(one, Exception):
        members = "".join(f"- {line}\n" for line in _members(one))
        return f"{head}{_text(one)}" + (f"\n{members}" if members else "")
    if inspect.isfunction(one):
        return f"{head}```text\n{name}{_signature(one)}\n```\n\n{_text(one)}"
    return head + _text(one)


def _text(one: Any) -> str:
    """The docstring: prose as it stands, examples in fences."""
    parts = []
    for part in doctest.DocTestParser().parse(inspect.getdoc(one) or ""):
        if isinstance(part, doctest.Example):
            lines = part.source.rstrip("\n").split("\n")
            typed = [f">>> {lines[0]}", *(f"... {line}" for line in lines[1:])]
            parts.append("```pycon\n" + "\n".join(typed) + "\n" + part.want + "```\n")
        elif part.strip():
            parts.append(part.strip("\n") + "\n\n")
    text = "".join(parts).replace("```\n```pycon\n", "")  # examples that follow each other
    return re.sub(r"```\n(?=[^\n`])", "```\n\n", text).rstrip("\n") + "\n"


def _members(one: type[Any]) -> Iterator[str]:
    for name, member in vars(one).items():
        if name.startswith("_"):
            continue
        function = inspect.unwrap(member) if inspect.isfunction(member) else None
        text = inspect.getdoc(member) if function or _computed(member) else None
        if text:
            first = " ".join(text.split("\n\n")[0].split())
            yield f"`{name}{_signature(function) if function else ''}`: {first}"


def _computed(member: object) -> bool:
    return isinstance(member, property) or type(member).__name__ == "cached_property"


def _signature(function: Any) -> str:
    """Parameters and what is returned, with the types as they are written."""
    given = inspect.signature(function)
    parameters = [one for one in given.parameters.values() if one.name != "self"]
    text = str(given.replace(parameters=parameters)).replace("'", "")
    return re.sub(r"mappingproxy\(\{\}\)", "{}", text)
