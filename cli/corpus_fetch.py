"""`emo corpus fetch`: openly licensed data sets from their official hosts."""

from __future__ import annotations

from pathlib import Path

import click

from emo.cli.cache_options import size
from emo.cli.console import print_json, voice
from emo.cli.study_options import json_option


@click.command("fetch")
@click.argument("name")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder.  [default: the data set's name]"
)
@click.option("--part", "parts", multiple=True, help="Such as video-speech; repeatable.  [default: sounds]")
@click.option("--accept-licence", "accepted", is_flag=True, help="I have read the licence and keep to it.")
@click.option("--dry-run", is_flag=True, help="Say what would be fetched, and stop.")
@click.option("--server", "servers", multiple=True, metavar="HOST=ADDRESS", hidden=True)
@json_option()
@click.pass_context
def fetch_command(
    ctx: click.Context,
    name: str,
    out: Path | None,
    parts: tuple[str, ...],
    accepted: bool,
    dry_run: bool,
    servers: tuple[str, ...],
    as_json: bool,
) -> None:
    """Fetch the data set NAME, ravdess or crema-d, from its official host; each file checked by its digest.

    The licence is shown first. A download goes on where it stopped: run the same command again.

    \b
    emo corpus fetch ravdess --out RAVDESS --accept-licence
    emo corpus fetch crema-d --part video --out CREMA-D --accept-licence
    """
    from emo.corpora.declared import load_rights
    from emo.corpora.fetching import chosen_parts, fetched, source
    from emo.corpora.fetching.downloads import Fetcher, refuse_full_disk
    from emo.errors import RightsError

    how, folder, speaker = source(name), out or Path(name), voice(ctx)
    chosen, rights = chosen_parts(name, parts), load_rights(name)
    speaker.note(f"{rights.sentence}\n  cite: {rights.citation}\n  parts: {', '.join(how.parts)}")
    if not accepted and not dry_run:
        raise RightsError(
            f"{name} is under {rights.licence}: see {rights.eula_url}, and say --accept-licence."
        )
    fetcher = Fetcher(dict(item.split("=", 1) for item in servers))
    listed = how.listed(fetcher, folder, chosen)
    total = sum(part.size for part in listed)
    speaker.note(f"{len(listed)} files, {size(total)}, checked by {how.digests}")
    done = 0
    if not dry_run:
        refuse_full_disk(folder, listed)
        with speaker.meter("fetch") as meter:
            fetcher.on_bytes = lambda arrived: meter.update(arrived, total)
            done = sum(1 for _ in fetched(fetcher, name, folder, listed))
    if as_json:
        told_of = {"files": len(listed), "bytes": total, "fetched": done, "rights": rights.to_json()}
        print_json({"dataset": name, "folder": str(folder), "parts": chosen, "dry_run": dry_run, **told_of})
    elif dry_run:
        click.echo(f"{name}: {len(listed)} files, {size(total)} would be fetched into {folder}")
    else:
        click.echo(f"{name}: {done} files are in {folder}")
        click.echo(f"Next: emo corpus read {name} {folder} --out {name}.jsonl")
