"""`emo init`: a commented emo.yaml, so that commands typed beside it need no options."""

from __future__ import annotations

import ast
import inspect
import json
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import click

from emo.config import workspace
from emo.errors import ConfigError

HEADER = "# Defaults of the emo commands typed in this folder; every key is optional.\n"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False), default=".")
@click.option("--force", is_flag=True, help="Write over an emo.yaml that is there.")
def init(folder: str, force: bool) -> None:
    """Write a commented emo.yaml into FOLDER.

    \b
    emo init
    emo init study/
    """
    path = Path(folder) / "emo.yaml"
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already. `emo init --force` writes over it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(commented_yaml(), encoding="utf-8")
    click.echo(f"{path}: edit what you need, then `emo extract`")


def commented_yaml() -> str:
    """The workspace's defaults as YAML, each under the sentence that its field's docstring says."""
    said = field_docs()
    lines = [HEADER]
    plain = workspace.Workspace()
    for each in fields(workspace.Workspace):
        value = getattr(plain, each.name)
        lines.append(f"# {said[each.name]}\n# {each.name}: {json.dumps(value)}\n")
    return "\n".join(lines)


def field_docs() -> dict[str, str]:
    """The string under each field of Workspace: comments of the file and documentation are one text."""
    module = ast.parse(inspect.getsource(workspace))
    body = next(node.body for node in module.body if isinstance(node, ast.ClassDef))
    said = {}
    for here, below in pairwise(body):
        if (
            isinstance(here, ast.AnnAssign)
            and isinstance(here.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            said[here.target.id] = str(below.value.value)
    return said
