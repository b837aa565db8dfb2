"""`emo cache privacy`: how well cached features tell who speaks."""

from __future__ import annotations

from pathlib import Path

import click

from emo.cli.cache_options import DEFAULT_CACHE, cache_option, json_option, print_json


@click.command()
@click.option(
    "--manifest", type=click.Path(path_type=Path), required=True, help="Says who speaks in which clip."
)
@click.option("--encoder", "-e", help="Which space: NAME, NAME@PRESET or NAME/FINGERPRINT.  [default: all]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the halves and of the bootstrap.")
@cache_option
@json_option
def privacy(manifest: Path, encoder: str | None, seed: int, cache_path: Path | None, as_json: bool) -> None:
    """Measure how well speakers are recognised by their features, before you share them.

    Half of each speaker's clips are enrolled; to whom do the others belong? By the nearest mean, by a linear
    classifier, and as equal error rate (0.5 is chance), with 95 % intervals over speakers. Clips of one
    recording on both sides make recognition look easier than across recordings.

    \b
    Examples:
      emo cache privacy --manifest m.jsonl
      emo cache privacy --manifest m.jsonl --encoder hubert --json
    """
    from emo.cache import open_cache
    from emo.corpora import clips_in
    from emo.pipeline.privacy import cache_privacy, privacy_table

    clips, _ = clips_in(manifest)
    found = cache_privacy(open_cache(cache_path or DEFAULT_CACHE), clips, encoder, seed=seed)
    if as_json:
        print_json({"spaces": [each.to_json() for each in found]})
        return
    click.echo(privacy_table(found))
    for each in found:
        click.echo(each.sentence)
