"""`emo doctor`: what of emo's promises holds on this machine's disks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from emo.cli.cache_options import print_json

EXIT_UNFIT = 2


@click.command()
@click.option(
    "--prove",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="The folder whose disk is tried, in under a minute.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_context
def doctor(context: click.Context, folder: Path, as_json: bool) -> None:
    """Try renames, syncs, locks and kills on a disk; exit 2 where a feature cache would not be safe on it.

    \b
    emo doctor --prove .
    emo doctor --prove /data --json
    """
    from emo.cache.prove import prove

    proofs = []
    for proof in prove(folder):
        proofs.append(proof)
        if not as_json:
            click.echo(f"{'holds' if proof.holds else 'FAILS':5}  {proof.name}: {proof.seen}")
            click.echo(f"       {proof.promise}")
    safe = all(proof.holds for proof in proofs if proof.needed)
    if as_json:
        print_json({"safe": safe, "proofs": [asdict(proof) for proof in proofs]})
    else:
        click.echo("A cache is safe here." if safe else "A cache is not safe here: use another disk.")
    if not safe:
        context.exit(EXIT_UNFIT)
