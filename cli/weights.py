"""`emo weights`: encoder weights onto this machine, from the hub or from files of the original authors."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from emo.cli.console import print_json, voice

EXIT_NOT_FETCHED = 2


@click.group()
def weights() -> None:
    """Fetch and convert encoder weights."""


@weights.command()
@click.option("--encoder", "-e", default="hubert,mae,videomae,eva", show_default=True, help="NAME[,NAME...]")
@click.option("--preset", type=click.Choice(["paper", "base"]), default="base", show_default=True)
@click.option("--substitute", is_flag=True, help="A public stand-in where the weights are not public.")
@click.option("--dry-run", is_flag=True, help="Say what would be fetched, under which licence, and stop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def get(
    ctx: click.Context, encoder: str, preset: str, substitute: bool, dry_run: bool, as_json: bool
) -> None:
    """Fetch the weights of a preset; what is not public is said, with what stands in for it.

    Downloads go on where they stopped. Pickles are converted to safetensors in a limited process.

    \b
    emo weights get --encoder hubert --preset base
    emo weights get --encoder mae,videomae --preset paper --substitute
    """
    from emo.errors import CheckpointError
    from emo.extractors.fetch import fetch, why_not
    from emo.extractors.registry import preset_source

    speaker = voice(ctx)
    fetched: list[dict[str, object]] = []
    refused: list[dict[str, object]] = []
    for name in [part.strip() for part in encoder.split(",") if part.strip()]:
        source = preset_source(name, preset)
        chosen = source.substitute if substitute and source.substitute else source
        if not chosen.public:
            refused.append({"encoder": name, "reason": why_not(name, preset, source)})
            continue
        speaker.note(
            f"{name} {preset}: {chosen.repo}, licence {chosen.licence.name}, {chosen.licence.source}"
        )
        row: dict[str, object] = {"encoder": name, "repo": chosen.repo, "licence": chosen.licence.name}
        if not dry_run:
            try:
                got = fetch(name, preset, source, substitute=substitute)
            except CheckpointError as error:
                refused.append({"encoder": name, "reason": str(error)})
                continue
            row |= {"folder": str(got.folder), "commit": got.commit, "sha256": dict(got.files)}
        fetched.append(row)
    _report(fetched, refused, as_json=as_json, dry_run=dry_run)


@weights.command()
@click.argument("encoder", type=click.Choice(["eva", "mae", "videomae"]))
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("out", required=False, type=click.Path(file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def convert(encoder: str, file: str, out: str | None, as_json: bool) -> None:
    """Convert FILE, a .pth of the original code, into weights of the paper preset in OUT.

    OUT is by default where the paper preset is looked for. Nothing in FILE is executed.

    \b
    emo weights convert eva eva_vit_g.pth
    emo weights convert mae mae_pretrain_vit_large.pth weights/mae
    """
    from emo.extractors.fetch import convert as run
    from emo.extractors.registry import preset_source
    from emo.extractors.weights import weights_folder

    folder = Path(out) if out else weights_folder(encoder, "paper")
    files = run(encoder, Path(file), folder, preset_source(encoder, "paper"))
    if as_json:
        print_json({"encoder": encoder, "folder": str(folder), "sha256": files})
        return
    for name, digest in files.items():
        click.echo(f"{folder / name}  sha256 {digest}")


def _report(
    fetched: list[dict[str, object]], refused: list[dict[str, object]], *, as_json: bool, dry_run: bool
) -> None:
    if as_json:
        print_json({"dry_run": dry_run, "fetched": fetched, "not_fetched": refused})
    else:
        for row in fetched:
            click.echo(f"{row['encoder']}: {row.get('folder', 'would be fetched from ' + str(row['repo']))}")
        for row in refused:
            click.echo(str(row["reason"]))
    if refused:
        sys.exit(EXIT_NOT_FETCHED)
