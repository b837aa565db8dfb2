"""The option that says which records of damaged media may be used, shared by the verbs that use features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

DEGRADED = "degraded"


def accept_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds `--accept degraded`; the command gets `accept`, None where it is not given."""
    return click.option(
        "--accept",
        type=click.Choice([DEGRADED]),
        help="Use features of damaged but readable media too; else they count as missing.",
    )
