"""`emo merr check`, `export` and `import`: what is done with a set once it is there."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from emo.cli.console import print_json
from emo.cli.study_options import json_option
from emo.labels import LABEL_SETS
from emo.merr.exchange.outgoing import FORMATS

EXIT_PARTIAL = 3
MOST_LISTED = 20

_labels = click.option(
    "--labels",
    type=click.Choice(sorted(LABEL_SETS)),
    default="merr",
    show_default=True,
    help="The label set.",
)
_json = json_option()


@click.command("check")
@click.argument("folder", type=click.Path(exists=True, file_okay=False), default="merr")
@_labels
@_json
def check_command(folder: str, labels: str, as_json: bool) -> None:
    """Say what is wrong with the MERR files in FOLDER, whoever built them; exit 3 where something is.

    \b
    emo merr check merr
    emo merr check MERR --labels merr --json
    """
    from emo.merr.check import check

    found = check(Path(folder), LABEL_SETS[labels])
    if as_json:
        print_json(dict(found.to_json()))
    else:
        for name, figures in found.sets.items():
            assert isinstance(figures, dict)
            click.echo(f"{name}: {figures['entries']} entries, {figures['texts_that_repeat']} texts repeat")
        for problem in found.problems[:MOST_LISTED]:
            click.echo(f"  {problem}")
        click.echo(f"{len(found.problems)} problems")
    if found.problems:
        sys.exit(EXIT_PARTIAL)


@click.command("export")
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--to", "form", type=click.Choice(FORMATS), required=True)
@click.option("--manifest", type=click.Path(), help="Clips, for the paths of their videos.")
@click.option("--prefix", default="", help="Address or folder of the videos, instead of their paths here.")
@click.option("--coarse", is_flag=True, help="The coarse set, also where there is a fine one.")
@_json
def export_command(
    folder: str, file: str, form: str, manifest: str | None, prefix: str, coarse: bool, as_json: bool
) -> None:
    """Write the set in FOLDER to FILE in the format of another tool.

    \b
    emo merr export merr train.json --to sharegpt --manifest clips
    emo merr export merr reasons.csv --to affectgpt-reason
    """
    from emo.corpora.manifest import clips_in
    from emo.merr.exchange.outgoing import export

    clips = clips_in(Path(manifest))[0] if manifest else []
    count = export(Path(folder), Path(file), form, clips, coarse=coarse, prefix=prefix)
    if as_json:
        print_json({"file": file, "format": form, "entries": count})
    else:
        click.echo(f"{file}: {count} entries as {form}")


@click.command("import")
@click.argument("source", type=click.Path(exists=True))
@click.option("--out", type=click.Path(file_okay=False), required=True, help="Folder of the set.")
@click.option("--from", "form", type=click.Choice(["mer-factory", "label-studio"]), required=True)
@_labels
@_json
def import_command(source: str, out: str, form: str, labels: str, as_json: bool) -> None:
    """Read SOURCE into a set: clips of MER-Factory, or verdicts given in Label Studio.

    \b
    emo merr import output/ --from mer-factory --out merr
    emo merr import project.json --from label-studio --out merr
    """
    from emo.merr.exchange.incoming import import_mer_factory, import_verdicts

    if form == "mer-factory":
        told = import_mer_factory(Path(source), Path(out), LABEL_SETS[labels])
    else:
        told = import_verdicts(Path(source), Path(out))
    if as_json:
        print_json(dict(told.to_json()))
    else:
        click.echo(f"{told.file}: {told.entries} entries")
        for problem in told.problems[:MOST_LISTED]:
            click.echo(f"  {problem}")
    if told.problems:
        sys.exit(EXIT_PARTIAL)
