"""`emo app`: the page in a browser, on this machine."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from emo.cli.console import quieten_transformers, voice
from emo.cli.serve_options import AUTH, HOST, PORT, serve_until_stopped


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    type=click.Path(),
    help="Folder of a trained run; repeatable.",
)
@click.option("--cache", type=click.Path(), help="A feature store to look into.")
@click.option("--manifest", type=click.Path(), help="Its clips: labels, and media to pick and play.")
@click.option("--base", help="Where the LLaMA is now.  [default: where it was in training]")
@HOST
@PORT
@AUTH
@click.pass_context
def app(
    ctx: click.Context,
    /,
    models: tuple[str, ...],
    cache: str | None,
    manifest: str | None,
    base: str | None,
    host: str,
    port: int,
    auth: str | None,
) -> None:
    """Open a page: upload or pick a clip, see its labels, reasons and timeline; look into a cache.

    What is shown is perceived expression, not what the person feels; see docs/responsible-use.md.

    \b
    emo app --model runs/llm --model runs/head
    emo app --model runs/head --cache features.zarr --manifest manifest.jsonl
    """
    from emo.app.browse import Browser
    from emo.app.models import Models
    from emo.app.page import page_of
    from emo.app.serving import Address, credentials_of
    from emo.app.session import Session
    from emo.cache import open_cache
    from emo.corpora import clips_in
    from emo.pipeline.systems import load_system

    address = Address(host=host, port=port, credentials=credentials_of(auth))
    quieten_transformers()
    warnings.filterwarnings("ignore", module="gradio")
    read = open_cache(cache) if cache and _wanted(ctx, "cache", cache) else None
    clips = clips_in(Path(manifest))[0] if manifest and _wanted(ctx, "manifest", manifest) else []
    systems = {name: load_system(Path(model), base=base) for name, model in _named(models)}
    session = Session(Models(systems), cache=read)
    try:
        browser = Browser(read, clips) if read is not None else None
        page = page_of(session, address, browser=browser, clips=clips)
        serve_until_stopped(voice(ctx), page, session, address, "the page is")
    finally:
        session.close()


def _wanted(ctx: click.Context, name: str, place: str) -> bool:
    """Whether an option's place is read: not where the workspace alone names it and it is not there yet."""
    typed = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    return typed or Path(place).exists()


def _named(models: Sequence[str]) -> list[tuple[str, str]]:
    """Each model with its folder's name, or with its path where another folder is called the same."""
    names = [Path(model).resolve().name for model in models]
    return [
        (name if names.count(name) == 1 else model, model) for name, model in zip(names, models, strict=True)
    ]
