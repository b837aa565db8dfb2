"""What the verbs of `emo cache` share: options, progress, and how results are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from emo.cli import study_options

SCHEMA_VERSION = 1
EXIT_PARTIAL = 3
EXIT_DAMAGED = 4
DEFAULT_CACHE = Path("features.zarr")

cache_option = click.option(
    "--cache",
    "cache_path",
    type=click.Path(path_type=Path),
    default=None,
    help=f"The cache's folder [default: the workspace's, else ./{DEFAULT_CACHE}].",
)
squash_option = click.option(
    "--squash-history",
    "squash",
    is_flag=True,
    help="On the Hub: make one commit of the branch afterwards, for good; what was removed goes from it too.",
)
json_option = study_options.json_option()


def counted(items: Iterable[Any], done: str) -> Iterable[Any]:
    """The items, with their number drawn on a terminal's standard error."""
    if not sys.stderr.isatty():
        yield from items
        return
    number = 0
    for number, item in enumerate(items, start=1):
        if number % 100 == 0:
            click.echo(f"\r{number} {done}", err=True, nl=False)
        yield item
    click.echo(f"\r{number} {done}", err=True)


def report(found: dict[str, Any], sentence: str, as_json: bool) -> None:
    """Print one or the other."""
    if as_json:
        print_json(found)
    else:
        click.echo(sentence)


def print_json(found: dict[str, Any]) -> None:
    """One object on standard output, with the version of its shape."""
    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **found}))


def size(count: int) -> str:
    """A number of bytes for people."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = min(max(count.bit_length() - 1, 0) // 10, len(units) - 1)
    return f"{count / 1024**power:.4g} {units[power]}"
