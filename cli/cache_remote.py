"""`emo cache push` and `pull`, and the verbs that say what may be sent: `rights` and `card`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as with_changes
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.cache_options import (
    DEFAULT_CACHE,
    EXIT_PARTIAL,
    cache_option,
    json_option,
    print_json,
    size,
    squash_option,
)
from emo.cli.console import Meter, voice

if TYPE_CHECKING:
    from emo.cache import FeatureCache
    from emo.cache.remote.push import Plan, Push
    from emo.pipeline.privacy import SpacePrivacy
    from emo.rights import DataRights

url_argument = click.argument("url", metavar="URL")


@click.command()
@url_argument
@cache_option
@click.option("--i-have-rights", "consent", is_flag=True, help="I may share features of this data.")
@click.option("--take-over", is_flag=True, help="Nobody else is pushing there: a push was killed.")
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    help="Says who speaks in which clip: tell how well speakers are recognised, before anything is sent.",
)
@squash_option
@click.option("--dry-run", is_flag=True, help="Say what would be sent, under which licences, and stop.")
@json_option
@click.pass_context
def push(
    context: click.Context,
    url: str,
    cache_path: Path | None,
    consent: bool,
    take_over: bool,
    manifest: Path | None,
    squash: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send features to URL (s3://BUCKET/PATH or hf://OWNER/NAME[@BRANCH][/PATH]), with a card.

    Exit 9 where features of the clips' data sets may not be shared. Sends features only, never pictures or
    sound. What was forgotten and compacted here goes there too. Run again after a failure, it goes on.

    \b
    Examples:
      emo cache push s3://lab/features.zarr --dry-run
      emo cache push s3://lab/features.zarr --i-have-rights
      emo cache push hf://lab/features --manifest m.jsonl --i-have-rights
    """
    from emo.cache import open_cache
    from emo.cache.remote.push import Push
    from emo.cache.remote.store import check_squash, open_store
    from emo.rights import check_sharing

    cache, store = open_cache(cache_path or DEFAULT_CACHE), open_store(url)
    if squash:
        check_squash(store)
    with Push(cache, store) as pushed:
        measured = _measured(cache, manifest)
        _tell_plan(voice(context).note, pushed.plan, url, measured)
        check_sharing(pushed.plan.data, consent=consent)
        counts = {"sent": 0, "there": 0, "bytes": 0}
        if not dry_run:
            with voice(context).meter("push") as meter:
                counts = _run(pushed, meter, consent=consent, take_over=take_over)
    if squash and not dry_run:
        store.squash()
    remains = store.remains if pushed.removed and not squash else ""
    found = _plan_json(pushed.plan) | {
        "url": url,
        "done": not dry_run,
        **counts,
        "removed": pushed.removed,
        "remains": remains,
        "privacy": [each.to_json() for each in measured],
    }
    if as_json:
        print_json(found)
    elif dry_run:
        click.echo("Nothing was sent.")
    else:
        click.echo(
            f"{counts['sent']} objects sent ({size(counts['bytes'])}), {counts['there']} were there: {url}"
        )
        if remains:
            click.echo(f"{pushed.removed} objects removed. {remains}")


def _run(pushed: Push, meter: Meter, *, consent: bool, take_over: bool) -> dict[str, int]:
    counts = {"sent": 0, "there": 0, "bytes": 0}
    for step in pushed.run(consent=consent, take_over=take_over):
        if step.what in counts:
            counts[step.what] += 1
            counts["bytes"] += step.size if step.what == "sent" else 0
        meter.update(step.done, step.total, size(step.size))
    return counts


def _measured(cache: FeatureCache, manifest: Path | None) -> list[SpacePrivacy]:
    """How well each space gives away who speaks; nothing without a manifest that says who does."""
    if manifest is None:
        return []
    from emo.corpora import clips_in
    from emo.pipeline.privacy import cache_privacy

    return cache_privacy(cache, clips_in(manifest)[0])


def _tell_plan(note: Any, plan: Plan, url: str, measured: Sequence[SpacePrivacy]) -> None:
    """The summary of licences and of what is sent, before anything is."""
    note(f"To {url}: features of {len(plan.outgoing)} spaces, {size(plan.bytes)}; no pictures, no sound")
    for one in plan.outgoing:
        spec = one.index.state.spec
        note(f"  {one.target.folder}: {len(one.index.current)} clips, weights' licence {spec.licence.name}")
    for kept in plan.kept_names:
        note(f"  {kept.folder}: only there, stays as it is")
    note("Clip ids, statuses and notes of the encoders go with them. Data sets:")
    for line in _rights_lines(plan.data):
        note(line)
    for each in measured:
        note(each.sentence)
    if not measured:
        note("Add --manifest M.jsonl to be told how well these features tell who speaks.")


def _rights_lines(data: tuple[DataRights, ...]) -> list[str]:
    from emo.rights import UNDECLARED

    return [f"  {record.sentence}" for record in data or (UNDECLARED,)]


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "spaces": [one.target.folder for one in plan.outgoing],
        "kept": [name.folder for name in plan.kept_names],
        "clips": {one.target.name: len(one.index.current) for one in plan.outgoing},
        "data": [record.to_json() for record in plan.data],
        "feature_bytes": plan.bytes,
    }


@click.command()
@url_argument
@cache_option
@click.option(
    "--space", "spaces", multiple=True, metavar="NAME", help="Only this space: ENCODER/FINGERPRINT."
)
@click.option("--dry-run", is_flag=True, help="Say what is there and stop.")
@json_option
@click.pass_context
def pull(
    context: click.Context,
    url: str,
    cache_path: Path | None,
    spaces: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Fetch the cache at URL; a cache that is here gets the records that it lacks.

    Every record is checked before any counts. Run again after a failure, it goes on. Exit 3 where a clip has
    other media here: what is here stays.

    \b
    Examples:
      emo cache pull s3://lab/features.zarr --cache features.zarr
      emo cache pull hf://lab/features@main --dry-run
    """
    from emo.cache import open_cache
    from emo.cache.describe import cache_info
    from emo.cache.remote.pull import Pull
    from emo.cache.remote.store import open_store

    if dry_run:
        there = open_cache(url)
        found = cache_info(there) | {"data": [record.to_json() for record in there.data]}
        _print_there(found, as_json, _rights_lines(there.data))
        return
    target = cache_path or DEFAULT_CACHE
    pulled, fetched = Pull(open_store(url), target), 0
    with voice(context).meter("pull") as meter:
        for step in pulled.run(spaces):
            fetched += not step.there
            meter.update(step.done, step.total, size(step.size))
    conflicts = pulled.merged.conflicts if pulled.merged else []
    stored = pulled.merged.stored if pulled.merged else None
    if as_json:
        print_json({"url": url, "cache": str(target), "shards": fetched, "stored": stored,
                    "conflicts": [conflict.clip_id for conflict in conflicts]})  # fmt: skip
    else:
        for conflict in conflicts:
            click.echo(f"{conflict.space}  {conflict.clip_id}: other media there, not stored")
        added = "" if stored is None else f", {stored} records added"
        click.echo(f"{fetched} shards fetched and checked{added}: {target}")
    if conflicts:
        context.exit(EXIT_PARTIAL)


def _print_there(found: dict[str, Any], as_json: bool, rights: list[str]) -> None:
    if as_json:
        print_json(found)
        return
    for space in found["spaces"]:
        name = f"{space['encoder']}/{space['fingerprint'][:16]}"
        click.echo(f"{name}: {space['records']} clips, {size(space['bytes'])}")
    click.echo("\n".join(rights))


@click.command()
@click.option("--declare", metavar="NAME|FILE", help="Whose data it is: a data set that emo knows, or JSON.")
@click.option("--replace", is_flag=True, help="This holds for all that is here; forget what was declared.")
@click.option(
    "--retain",
    type=click.IntRange(min=0),
    metavar="DAYS",
    help="From today; what is here may be kept so long.",
)
@cache_option
@json_option
def rights(
    declare: str | None, replace: bool, retain: int | None, cache_path: Path | None, as_json: bool
) -> None:
    """Show, or declare, what data sets the features are of and what those allow.

    What may be kept no longer is told by every extraction, and erased by `emo cache forget --expired`.

    \b
    Examples:
      emo cache rights --retain 365
      emo cache rights --declare mer2023 --replace
    """
    from emo.cache import open_cache
    from emo.corpora.declared import load_rights
    from emo.rights import UNDECLARED

    cache = open_cache(cache_path or DEFAULT_CACHE)
    if declare is None and replace:
        raise click.UsageError("--replace needs --declare.")
    if declare is not None:
        record = load_rights(declare)
        cache = open_cache(cache_path or DEFAULT_CACHE, "a")
        cache.declare([record]) if replace else cache.unite([record])
    if retain is not None:
        cache = open_cache(cache_path or DEFAULT_CACHE, "a")
        last = (date.today() + timedelta(days=retain)).isoformat()
        cache.declare([with_changes(one, keep_until=last) for one in cache.data or (UNDECLARED,)])
    if as_json:
        print_json({"data": [record.to_json() for record in cache.data]})
    else:
        click.echo("\n".join(line.strip() for line in _rights_lines(cache.data)))


@click.command()
@cache_option
def card(cache_path: Path | None) -> None:
    """Print the data set card that a push would send.

    \b
    Examples:
      emo cache card > README.md
      emo cache card --cache features.zarr
    """
    from emo.cache import open_cache
    from emo.cache.remote.card import card as make_card

    cache = open_cache(cache_path or DEFAULT_CACHE)
    click.echo(make_card([space.index for space in cache.spaces()], cache.data, cache.where), nl=False)
