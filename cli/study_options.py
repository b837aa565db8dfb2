"""Options that say what a verb works on: the store, the clips, the features, and what to train from.

Shared by the verbs that train or score, so that one name means one thing everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import click

Decorator: TypeAlias = "Callable[[Callable[..., Any]], Callable[..., Any]]"
FEATURES = "hubert,mae,videomae,eva"


def cache_option() -> Decorator:
    """`--cache`, the feature store."""
    return click.option(
        "--cache", type=click.Path(), default="features.zarr", show_default=True, help="The feature store."
    )


def manifest_option(says: str = "Clips with labels, or their folder.") -> Decorator:
    """`--manifest`: a file or the folder that holds it; `says` what its rows need."""
    return click.option("--manifest", type=click.Path(), default=".", show_default=True, help=says)


def features_option(says: str = "NAME[,NAME...]") -> Decorator:
    """`--features`, names of encoders with commas."""
    return click.option("--features", default=FEATURES, show_default=True, help=says)


def merr_option(of: str = "") -> Decorator:
    """`--merr`, the folder of MERR's files; `of` says for what where that is not plain."""
    said = f"{of}folder of MERR JSON." if of else "Folder of MERR JSON."
    return click.option("--merr", type=click.Path(), help=f"{said}  [default: the manifest's folder]")


def base_option(of: str = "") -> Decorator:
    """`--base`, the LLaMA; `of` says for what where that is not plain."""
    return click.option(
        "--base", default="", help=f"{of}LLaMA-family directory or hub id; emo llm tiny-base makes one."
    )


def recipe_option(says: str = "A recipe's name or a YAML file.") -> Decorator:
    """`--recipe` of the LLaMA stage."""
    return click.option("--recipe", default="tiny", show_default=True, help=says)


def out_option(default: str) -> Decorator:
    """`--out`, the folder of what is made."""
    return click.option(
        "--out", type=click.Path(file_okay=False), default=default, show_default=True, help="Folder."
    )


def json_option() -> Decorator:
    """`--json`: results as one object instead of words."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
