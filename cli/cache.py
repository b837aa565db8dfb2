"""`emo cache`: look at a feature cache, read all of it, take features out and in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache as cache_calls
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.cache_export import export_group
from emo.cli.cache_import import import_group
from emo.cli.cache_map import feature_map
from emo.cli.cache_options import (
    DEFAULT_CACHE,
    EXIT_DAMAGED,
    EXIT_PARTIAL,
    cache_option,
    counted,
    json_option,
    print_json,
    size,
)
from emo.cli.cache_privacy import privacy
from emo.cli.cache_remote import card, pull, push, rights
from emo.cli.cache_tools import diff, forget, gc, merge, seal

if TYPE_CHECKING:
    from emo.cache import Space, Verification

LINES_AT_ONCE = 10_000


@click.group(no_args_is_help=True)
def cache() -> None:
    """Look at a feature cache, verify it, export and import it.

    \b
    Examples:
      emo cache info
      emo cache verify --cache features.zarr
    """


@cache.command()
@cache_option
@json_option
def info(cache_path: Path | None, as_json: bool) -> None:
    """Show the feature spaces: records, arrays, bytes.

    \b
    Examples:
      emo cache info
      emo cache info --cache features.zarr --json
    """
    from emo.cache import open_cache
    from emo.cache.describe import cache_info

    found = cache_info(open_cache(cache_path or DEFAULT_CACHE))
    if as_json:
        print_json(found)
        return
    for space in found["spaces"]:
        arrays = ", ".join(f"{name} {tuple(shape)}" for name, shape in space["arrays"].items())
        statuses = ", ".join(f"{count} {status}" for status, count in space["statuses"].items())
        preset = f"@{space['preset']}" if space["preset"] else ""
        click.echo(f"{space['encoder']}{preset}  {space['fingerprint'][:16]}  {size(space['bytes'])}")
        click.echo(f"  {space['records']} clips: {statuses or 'none'}")
        click.echo(f"  {arrays}")


@cache.command()
@cache_option
@click.option("--failed", is_flag=True, help="Only clips whose status is not ok.")
@json_option
def ls(cache_path: Path | None, failed: bool, as_json: bool) -> None:
    """List every clip with its status, by feature space.

    \b
    Examples:
      emo cache ls
      emo cache ls --failed --json
    """
    from emo.cache import open_cache
    from emo.cache.describe import cache_clips

    opened = open_cache(cache_path or DEFAULT_CACHE)
    if as_json:
        print_json({"clips": list(cache_clips(opened, failed=failed))})
        return
    for space in opened.spaces():
        lines = _lines(space, failed)
        while some := list(islice(lines, LINES_AT_ONCE)):
            click.echo("\n".join(some))


def _lines(space: Space, failed: bool) -> Iterator[str]:
    from emo.cache.describe import clips_of

    name, arrays = space.name, tuple(space.spec.arrays)

    @cache_calls  # a million clips have few different lengths
    def words(rows: tuple[int, ...]) -> str:
        return " ".join(f"{array}:{count}" for array, count in zip(arrays, rows, strict=True) if count)

    for clip_id, status, reason, rows in clips_of(space, failed=failed):
        yield f"{name}\t{clip_id}\t{status}\t{words(rows) if status == 'ok' else reason}"


def _share(_context: click.Context, _option: click.Parameter, percent: str | None) -> float:
    """The share that `5%` names; all of it where nothing was named."""
    try:
        return float(percent.removesuffix("%")) / 100 if percent else 1.0
    except ValueError:
        raise click.BadParameter(f"{percent!r} is no percentage such as 5%") from None


@cache.command()
@cache_option
@click.option("--gone", multiple=True, metavar="ID", help="Prove that nothing is left of this clip.")
@click.option(
    "--read-data-subset",
    "share",
    metavar="PERCENT",
    callback=_share,
    help="Read this share of the records, such as 5%, and all that is not records.",
)
@click.option(
    "--turn", type=int, help="Which share: turns in sequence read every record.  [default: one a day]"
)
@click.option("--requeue", "redo", is_flag=True, help="Let emo extract encode the damaged records again.")
@json_option
@click.pass_context
def verify(
    context: click.Context,
    cache_path: Path | None,
    gone: tuple[str, ...],
    share: float,
    turn: int | None,
    redo: bool,
    as_json: bool,
) -> None:
    """Read everything and name what is not as it was written.

    Exit 4 where there is damage; 3 where all of it was requeued.

    \b
    Examples:
      emo cache verify --read-data-subset 5% --requeue
      emo cache verify --gone session1/anna_042 --json
    """
    from emo.cache import Verification, open_cache
    from emo.cache.requeue import requeue
    from emo.cache.subset import Subset
    from emo.cache.verify import checks

    path, found = cache_path or DEFAULT_CACHE, Verification()
    subset = Subset(share, date.today().toordinal() if turn is None else turn)
    for check in counted(checks(path, gone, subset), "checked"):
        found.add(check)
    if not as_json:
        _tell(found, subset.turn)
    requeued = requeue(open_cache(path, "a"), found) if redo and found.bad else []
    clips = sorted({(check.encoder, check.clip_id) for check in requeued})
    if as_json:
        print_json(found.to_json() | {"turn": subset.turn, "requeued": clips})
    elif clips:
        click.echo(f"{len(clips)} records requeued: run emo extract again")
    if len(found.bad) > len(requeued):
        context.exit(EXIT_DAMAGED)
    if found.bad:
        context.exit(EXIT_PARTIAL)


def _tell(found: Verification, turn: int) -> None:
    for bad in found.bad:
        clip = f"clip {bad.clip_id}  " if bad.clip_id else ""
        click.echo(f"{bad.encoder or 'cache'}  {clip}{bad.file}: {bad.problem}")
    for orphan in found.orphans:
        click.echo(f"{orphan.file}: {orphan.problem} (not damage)")
    click.echo(f"{found.records} records sound, {len(found.bad)} things damaged")
    if found.unread:
        click.echo(f"{found.share:.1%} of the records read: turn {turn}")


_IN_FILES_OF_THEIR_OWN = (
    *(export_group, import_group),
    *(diff, forget, gc, merge, seal),
    *(card, pull, push, rights),
    *(feature_map, privacy),
)
for _verb in _IN_FILES_OF_THEIR_OWN:
    cache.add_command(_verb)
