"""`emo config`: what the commands typed here take as defaults, and what emo.yaml may say."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import click

from emo.cli.cache_options import print_json
from emo.cli.study_options import json_option


@click.group()
def config() -> None:
    """Show the settings in force, and the schema of emo.yaml.

    \b
    emo config show
    emo config schema > emo.schema.json
    """


@config.command()
@json_option()
@click.pass_context
def show(context: click.Context, as_json: bool) -> None:
    """Print each setting that is in force here and where it comes from: emo.yaml, --set, or the default.

    \b
    emo config show
    emo --set seed=3 config show --json
    """
    from emo.cli.config import SETTINGS, read_settings

    settings = context.meta.get(SETTINGS) or read_settings(None, ())
    values = asdict(settings.workspace)
    if as_json:
        print_json({"file": str(settings.file) if settings.file else None, "settings": values})
        return
    click.echo(f"# {settings.file or Path('emo.yaml')}{'' if settings.file else ' is not there: defaults'}")
    for name, value in values.items():
        click.echo(f"{name}: {json.dumps(value, ensure_ascii=False):<40} # {settings.source(name)}")


@config.command()
def schema() -> None:
    """Print the JSON schema of emo.yaml; editors that know YAML schemas complete and check the file with it.

    \b
    emo config schema
    emo config schema > emo.schema.json
    """
    from pydantic import TypeAdapter

    from emo.cli.init import field_docs
    from emo.config.workspace import Workspace

    found = TypeAdapter(Workspace).json_schema()
    said = field_docs()
    for each in fields(Workspace):
        found["properties"][each.name]["description"] = said[each.name]
    click.echo(json.dumps({**found, "additionalProperties": False}, indent=2))
