"""What the page says of itself and how it looks: texts that lie beside this file. Knows no server."""

from __future__ import annotations

from importlib.resources import files

TITLE = "emo: perceived expression in a clip"
TINY = "These models run on the tiny preset: a check that everything works, no claim about real emotion."


def beside(name: str) -> str:
    """The text of a file of this room."""
    return (files("emo.app") / name).read_text(encoding="utf-8")
