"""`emo doctor`: what of emo's promises holds on this machine: its decoding, its weights, its disks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.cache_options import print_json, size
from emo.cli.study_options import json_option

if TYPE_CHECKING:
    from emo.cache.prove import Proof
    from emo.extractors.inventory import Held
    from emo.safety.workers import Guards

EXIT_UNFIT = 2
SHOWN = {"shipped": "shipped with emo", "random": "random, shipped with emo", "missing": "not here"}


@click.command()
@click.option(
    "--prove",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Also try the disk of this folder, in under a minute.",
)
@click.option(
    "--licences",
    "place",
    metavar="RUN|CACHE",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Say instead which licences are behind a model or a cache, the strictest first.",
)
@json_option()
@click.pass_context
def doctor(context: click.Context, folder: Path | None, place: Path | None, as_json: bool) -> None:
    """Say under which guards media is decoded here and which encoders have their weights.

    With --prove also try renames, syncs, locks and kills on a disk; exit 2 where a cache is not safe on it.

    \b
    emo doctor
    emo doctor --prove .
    emo doctor --licences runs/head --json
    """
    if place is not None:
        _show_licences(place, as_json)
        return
    from emo.config.extract import DEFAULTS
    from emo.extractors.inventory import held_weights
    from emo.extractors.reading import guards

    held = list(held_weights())
    found = guards()
    if not as_json:
        _show_guards(found, DEFAULTS.most_memory)
        _show_weights(held)
    proofs = _proved(folder, as_json) if folder is not None else []
    safe = all(proof.holds for proof in proofs if proof.needed)
    if as_json:
        decoding = {"network": found.network, "address_space": found.address_space + DEFAULTS.most_memory}
        weights = [asdict(one) | {"folder": one.folder and str(one.folder)} for one in held]
        disk = {"safe": safe, "proofs": [asdict(proof) for proof in proofs]} if folder is not None else {}
        print_json({"decoding": decoding, "weights": weights, **disk})
    elif folder is not None:
        click.echo("A cache is safe here." if safe else "A cache is not safe here: use another disk.")
    if not safe:
        context.exit(EXIT_UNFIT)


def _show_licences(place: Path, as_json: bool) -> None:
    from emo.pipeline.licences import licence_chain

    chain = licence_chain(place)
    if as_json:
        print_json({"strictest": chain[0].licence, "chain": [asdict(link) for link in chain]})
        return
    for link in chain:
        click.echo(f"{link.what}: {link.licence}" + (f" ({link.source})" if link.source else ""))
    click.echo(f"The strictest holds for the whole: {chain[0].licence}. This is no legal advice.")


def _proved(folder: Path, as_json: bool) -> list[Proof]:
    from emo.cache.prove import prove

    proofs = []
    for proof in prove(folder):
        proofs.append(proof)
        if not as_json:
            click.echo(f"{'holds' if proof.holds else 'FAILS':5}  {proof.name}: {proof.seen}")
            click.echo(f"       {proof.promise}")
    return proofs


def _show_guards(guards: Guards, memory: int) -> None:
    click.echo("Media is decoded in worker processes.")
    if guards.network == "cut":
        click.echo("  network        cut: a file cannot make its decoder reach anything")
    else:
        click.echo(
            "  network        OPEN: this kernel lets no process leave it. Files are opened by the protocol"
        )
        click.echo(
            "                 `file` alone; with media of strangers, run in a container without network."
        )
    limit = size(guards.address_space + memory)
    click.echo(f"  address space  at most {limit} a worker, {size(memory)} of them for media")


def _show_weights(held: Sequence[Held]) -> None:
    click.echo("Weights of encoders:")
    for one in held:
        name = f"{one.encoder}@{one.preset}" if one.preset else one.encoder
        about = [SHOWN.get(one.presence, one.presence), str(one.folder or ""), one.why]
        click.echo(f"  {name:20} {'  '.join(part for part in about if part)}")
