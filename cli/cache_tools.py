"""Verbs of `emo cache` for the years after: forget, collect garbage, seal, merge, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

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
from emo.cli.sections import Sectioned
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.cache import FeatureCache
    from emo.cache.diff import Difference

yes_option = click.option("--yes", is_flag=True, help="Do it; without, only say what would be done.")


@click.command(cls=Sectioned)
@click.option("--clip", "clips", multiple=True, metavar="ID", help="A clip to forget; repeatable.")
@click.option("--speaker", "speakers", multiple=True, metavar="NAME", help="Every clip of this speaker.")
@click.option("--dataset", is_flag=True, help="Every clip of the manifest.")
@click.option(
    "--expired", is_flag=True, help="Every clip that `emo cache rights --retain` let stay no longer."
)
@click.option("--manifest", type=click.Path(path_type=Path), help="Says who speaks in which clip.")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where to look for runs that were trained on them.",
)
@click.option("--remote", metavar="URL", help="Forget them in the copy at this URL, not here.")
@click.option("--take-over", is_flag=True, help="Nobody else is pushing to the URL: a push was killed.")
@squash_option
@cache_option
@yes_option
@json_option
def forget(
    clips: tuple[str, ...],
    speakers: tuple[str, ...],
    dataset: bool,
    expired: bool,
    manifest: Path | None,
    runs: Path,
    remote: str | None,
    take_over: bool,
    squash: bool,
    cache_path: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Retract clips and overwrite their features.

    Ids and notes stay in the index until `emo cache gc --compact --yes`. What was trained on the clips, or
    exported, is listed or is yours to find; it is not changed.

    \b
    Examples:
      emo cache forget --clip session1/anna_042 --yes
      emo cache forget --speaker anna --manifest m.jsonl --json
      emo cache forget --clip anna_042 --remote s3://lab/features.zarr --yes
    """
    from emo.cache import open_cache
    from emo.cache.forget import forget as forget_clips
    from emo.cache.forget import known_clips
    from emo.run_clips import runs_with

    wanted = [*clips, *_of_manifest(manifest, speakers, dataset)]
    if expired:
        wanted += _expired(open_cache(cache_path or DEFAULT_CACHE), manifest)
    elif not wanted:
        raise click.UsageError(
            "name what to forget: --clip, --expired, --speaker or --dataset with --manifest."
        )
    if remote is not None:
        _forget_there(remote, wanted, yes=yes, take_over=take_over, squash=squash, as_json=as_json)
        return
    if squash:
        raise click.UsageError("--squash-history is about the copy at --remote URL.")
    store = open_cache(cache_path or DEFAULT_CACHE, "a" if yes else "r")
    trained = {str(path): seen for path, seen in runs_with(runs, wanted)}  # may refuse: before anything goes
    found = (forget_clips if yes else known_clips)(store, wanted)
    if as_json:
        shared = [{"clip_id": mine, "also": other} for mine, other in found.shared]
        print_json({"done": yes, "records": found.records, "shared": shared, "runs": trained})
        return
    for space, ids in found.records.items():
        click.echo(f"{space}: {len(ids)} clips {'forgotten' if yes else 'would be forgotten'}")
    for mine, other in found.shared:
        click.echo(f"bytes of {mine!r} stay: they are those of {other!r} too")
    for path, ids in trained.items():
        click.echo(f"{path} was trained on {len(ids)} of them: train it again without")
    click.echo(_what_next(bool(found.records), yes) if wanted else _first_day(store))


def _forget_there(
    url: str, wanted: list[str], *, yes: bool, take_over: bool, squash: bool, as_json: bool
) -> None:
    """Forget clips in a remote copy, ids and bytes."""
    from emo.cache.remote.erase import erase_there, known_there
    from emo.cache.remote.store import check_squash, open_store

    remote = open_store(url)
    if squash:
        check_squash(remote)
    known = known_there(remote, wanted).known
    if yes:
        for _ in erase_there(remote, wanted, take_over=take_over):
            pass
        if squash:
            remote.squash()
    remains = "" if squash else remote.remains
    if as_json:
        print_json({"done": yes, "records": known, "remote": url, "remains": remains})
        return
    for space, ids in known.items():
        click.echo(
            f"{url}/{space}: {len(ids)} clips {'forgotten, ids and bytes' if yes else 'would be forgotten'}"
        )
    if not known:
        click.echo("The remote cache knows none of these clips.")
    if yes:
        click.echo(remains or "The history was squashed: one commit of the branch is left.")
    elif known:
        click.echo("Nothing was changed. Add --yes to forget them there.")


def _of_manifest(manifest: Path | None, speakers: tuple[str, ...], dataset: bool) -> list[str]:
    from emo.corpora import clips_in

    if not speakers and not dataset:
        return []
    if manifest is None:
        raise click.UsageError("--speaker and --dataset need --manifest.")
    found, _ = clips_in(manifest)
    unknown = set(speakers) - {clip.speaker for clip in found}
    if unknown:
        raise ConfigError(f"{manifest} has no clip of the speaker {sorted(unknown)[0]!r}.")
    return [clip.clip_id for clip in found if dataset or clip.speaker in speakers]


def _expired(cache: FeatureCache, manifest: Path | None) -> list[str]:
    """Clips whose data set may be kept no longer; ConfigError where nothing says which clips those are."""
    from emo.corpora import clips_in
    from emo.records import RETRACTED
    from emo.rights import UNDECLARED

    over = {record.name for record in cache.data if record.expired(date.today())}
    if not over:
        return []
    if len(over) == len(cache.data):
        infos = (info for space in cache.spaces() for info in space.infos().values())
        return list(dict.fromkeys(info.clip_id for info in infos if info.status != RETRACTED))
    if manifest is None:
        raise ConfigError(
            f"{', '.join(sorted(over))} may be kept no longer, but the cache holds other data as well. "
            "Name a --manifest whose column `dataset` says which clips are of it."
        )
    return [clip.clip_id for clip in clips_in(manifest)[0] if (clip.dataset or UNDECLARED.name) in over]


def _first_day(cache: FeatureCache) -> str:
    """What is said where nothing may be kept no longer."""
    days = sorted(record.keep_until for record in cache.data if record.keep_until)
    told = f"the first last day is {days[0]}" if days else "`emo cache rights --retain` sets a last day"
    return f"Nothing has expired; {told}."


def _what_next(any_known: bool, yes: bool) -> str:
    if not any_known:
        return "The cache knows none of these clips."
    if not yes:
        return "Nothing was changed. Add --yes to forget them."
    return "Their ids are still in the index: emo cache gc --compact --yes removes them."


@click.command()
@click.option(
    "--compact", "compact_too", is_flag=True, help="Also drop rows that were replaced or retracted."
)
@cache_option
@yes_option
@json_option
def gc(compact_too: bool, cache_path: Path | None, yes: bool, as_json: bool) -> None:
    """Name what nothing needs any more, and with --yes remove it.

    \b
    Examples:
      emo cache gc
      emo cache gc --compact --yes
    """
    from emo.cache import open_cache
    from emo.cache.gc import collect

    store = open_cache(cache_path or DEFAULT_CACHE, "a")
    found = list(collect(store, remove=yes, compact_too=compact_too))
    if as_json:
        things = [{"what": one.what, "path": str(one.path), "rows": one.rows} for one in found]
        print_json({"done": yes, "garbage": things})
        return
    for record in store.data:
        if record.expired(date.today()):
            click.echo(f"{record.sentence}: emo cache forget --expired")
    for one in found:
        click.echo(f"{one.what}: {one.path}" + (f" ({one.rows} rows)" if one.rows else ""))
    click.echo(f"{len(found)} things {'removed' if yes else 'to remove; add --yes to do it'}")


@click.command()
@cache_option
@json_option
def seal(cache_path: Path | None, as_json: bool) -> None:
    """Cut the empty tails off shards that are not full, before the cache is copied.

    On its own disk a cache takes no more than it holds, but tar, rsync or an object store would copy the
    tails. Every reader reads on; the next writer makes a shard whole again.

    \b
    Examples:
      emo cache seal
      emo cache seal --cache features.zarr --json
    """
    from emo.cache import open_cache
    from emo.cache.seal import seal as seal_shards

    sealed = list(seal_shards(open_cache(cache_path or DEFAULT_CACHE, "a")))
    before, after = (sum(getattr(one, when) for one in sealed) for when in ("before", "after"))
    if as_json:
        print_json({"shards": len(sealed), "bytes_before": before, "bytes_after": after})
    else:
        click.echo(f"{len(sealed)} shards sealed: {size(before)} before, {size(after)} now")


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--into",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    help="The cache that gets the records.",
)
@json_option
@click.pass_context
def merge(context: click.Context, sources: tuple[Path, ...], target: Path, as_json: bool) -> None:
    """Store what the cache INTO lacks of the caches SOURCES; exit 3 where clips are in conflict.

    One input is stored once. Where two caches have other media under one id, what is there or named first
    stays, and the clip is listed.

    \b
    Examples:
      emo cache merge node1.zarr node2.zarr --into features.zarr
      emo cache merge node1.zarr --into features.zarr --json
    """
    from emo.cache import open_cache
    from emo.cache.merge import merge as merge_caches

    if target.resolve() in {source.resolve() for source in sources}:
        raise click.UsageError(f"{target} is among the caches to merge into it.")
    found = merge_caches([open_cache(source) for source in sources], open_cache(target, "a"))
    if as_json:
        print_json(asdict(found))
    else:
        for conflict in found.conflicts:
            click.echo(f"{conflict.space}  {conflict.clip_id}: other media in {conflict.source}, not stored")
        click.echo(
            f"{found.stored} records stored, {found.same} were there, {len(found.conflicts)} in conflict"
        )
    if found.conflicts:
        context.exit(EXIT_PARTIAL)


@click.command()
@click.argument("one", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path))
@click.option("--encoder", "-e", help="Which space: NAME, NAME@PRESET or NAME/FINGERPRINT.  [default: all]")
@json_option
def diff(one: Path, other: Path, encoder: str | None, as_json: bool) -> None:
    """Compare the features of the clips that two caches share: cosine and largest difference.

    Spaces are matched by encoder, whatever their recipe. Clips with other numbers of rows are listed as such.

    \b
    Examples:
      emo cache diff features.zarr theirs.zarr
      emo cache diff a.zarr b.zarr --encoder hubert --json
    """
    from emo.cache import open_cache
    from emo.cache.diff import compare

    caches = open_cache(one), open_cache(other)
    names = [encoder] if encoder else _encoders_in_both(*caches)
    found = {name: list(compare(caches[0].space(name), caches[1].space(name))) for name in names}
    if as_json:
        print_json({"spaces": {name: [asdict(each) for each in clips] for name, clips in found.items()}})
        return
    for name, clips in found.items():
        for each in clips:
            line = f"cosine {each.cosine:.6f}  max {each.max_abs:.3g}"
            if each.rows[0] != each.rows[1]:
                line = f"{each.rows[0]} and {each.rows[1]} rows"
            click.echo(f"{name}\t{each.clip_id}\t{each.array}\t{line}")
        click.echo(_worst(name, clips))


def _encoders_in_both(one: FeatureCache, other: FeatureCache) -> list[str]:
    first, second = ({space.spec.encoder for space in cache.spaces()} for cache in (one, other))
    if not first & second:
        raise ConfigError(f"{one.path} has {sorted(first)}, {other.path} has {sorted(second)}: none in both.")
    return sorted(first & second)


def _worst(name: str, clips: Sequence[Difference]) -> str:
    same = [each for each in clips if each.rows[0] == each.rows[1]]
    if not same:
        return f"{name}: no clip that both have can be compared"
    cosine, largest = min(each.cosine for each in same), max(each.max_abs for each in same)
    return f"{name}: {len(same)} arrays compared, least cosine {cosine:.6f}, largest difference {largest:.3g}"
