"""`emo cache map`: one feature space on a plane, as PNG and HTML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.cache_options import DEFAULT_CACHE, cache_option, json_option, print_json

if TYPE_CHECKING:
    from emo.evaluation.projection import Method


@click.command("map")
@cache_option
@click.option("--encoder", "-e", required=True, help="Which space: NAME, NAME@PRESET or NAME/FINGERPRINT.")
@click.option("--array", default="utterance", show_default=True, help="Which array; rows are averaged.")
@click.option("--manifest", type=click.Path(path_type=Path), help="Clips with labels and speakers.")
@click.option(
    "--colour", type=click.Choice(["label", "speaker", "split"]), default="label", show_default=True
)
@click.option("--method", type=click.Choice(["pca", "umap"]), default="pca", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of UMAP.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("map"), show_default=True, help="OUT.png, OUT.html"
)
@json_option
def feature_map(
    cache_path: Path | None,
    encoder: str,
    array: str,
    manifest: Path | None,
    colour: str,
    method: Method,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Draw a map of a feature space, coloured by label or speaker: clips that are alike lie together.

    \b
    Examples:
      emo cache map --encoder hubert --manifest manifest.jsonl
      emo cache map --encoder mae@base --manifest m.jsonl --colour speaker
    """
    from emo.cache import open_cache
    from emo.corpora import clips_in
    from emo.evaluation.figures import save_figure
    from emo.evaluation.maps import groups_of, map_figure, map_page
    from emo.evaluation.projection import on_a_plane
    from emo.pipeline.clip_rows import clip_rows

    space = open_cache(cache_path or DEFAULT_CACHE).space(encoder)
    clips = clips_in(manifest)[0] if manifest else []
    wanted = {clip.clip_id: getattr(clip, colour) for clip in clips} if manifest else dict.fromkeys(space)
    ids = [clip_id for clip_id in sorted(wanted) if clip_id in space]
    plane = on_a_plane(clip_rows(space, ids, array), method, seed=seed)
    groups = groups_of([wanted[clip_id] for clip_id in ids])
    title = f"{space.spec.encoder} ({space.spec.preset or 'no preset'}), {len(ids)} clips by {colour}"
    note = f"{space.name}, {array}, {method}; {len(wanted) - len(ids)} clips without the feature left out."
    if space.spec.preset.startswith("tiny"):
        note += " The tiny preset checks the pipeline: no claim about real emotion."
    png, page = (out.with_name(f"{out.name}.{ending}") for ending in ("png", "html"))
    save_figure(map_figure(plane, groups, title), png)
    page.write_text(map_page(plane, groups, ids, title, note), encoding="utf-8")
    if as_json:
        explained = [round(share, 4) for share in plane.explained]
        print_json({"png": str(png), "html": str(page), "clips": len(ids), "explained": explained})
        return
    click.echo(f"{png} and {page}: {title}. {note}")
