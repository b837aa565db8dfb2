"""`emo cache export`: the features of a cache in other formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.cache_options import DEFAULT_CACHE, cache_option, counted, json_option, report

if TYPE_CHECKING:
    from emo.cache import Space

MODALITIES = ("text", "audio", "vision")


def common(command: Callable[..., None]) -> Callable[..., None]:
    """What every export of whole spaces takes."""
    out = click.argument("out", type=click.Path(path_type=Path))
    space = click.option("--space", "names", multiple=True, metavar="NAME", help="Only this space.")
    return out(space(cache_option(json_option(command))))


@click.group(name="export")
def export_group() -> None:
    """Write the features in another format."""


@export_group.command(name="h5")
@click.argument("out", type=click.Path(path_type=Path))
@cache_option
@json_option
def export_h5_command(out: Path, cache_path: Path | None, as_json: bool) -> None:
    """Write every record to the HDF5 file OUT, one dataset for each clip and array.

    \b
    Examples:
      emo cache export h5 features.h5
      emo cache export h5 features.h5 --cache features.zarr --json
    """
    from emo.cache import open_cache
    from emo.cache.exchange.hdf5 import export_h5

    _check_new(out)
    _write(export_h5(open_cache(cache_path or DEFAULT_CACHE), out), out, as_json)


@export_group.command(name="npy")
@common
def export_npy_command(out: Path, names: tuple[str, ...], cache_path: Path | None, as_json: bool) -> None:
    """Write .npy files in the layout of MERTools: OUT/<encoder>-UTT/<clip>.npy.

    Clip ids are percent-encoded. `emo cache import exported` takes it all back.

    \b
    Examples:
      emo cache export npy shared
      emo cache export npy shared --space hubert@paper --json
    """
    from emo.cache.exchange.exported import export_npy

    _export(export_npy, out, names, cache_path, as_json)


@export_group.command(name="safetensors")
@common
def export_safetensors_command(
    out: Path, names: tuple[str, ...], cache_path: Path | None, as_json: bool
) -> None:
    """Write safetensors into the new folder OUT; a tensor is <array>/<clip id>.

    `emo cache import exported` takes it all back.

    \b
    Examples:
      emo cache export safetensors shared
      emo cache export safetensors shared --space hubert@paper --json
    """
    from emo.cache.exchange.exported import export_safetensors

    _export(export_safetensors, out, names, cache_path, as_json)


@export_group.command(name="parquet")
@common
def export_parquet_command(out: Path, names: tuple[str, ...], cache_path: Path | None, as_json: bool) -> None:
    """Write a Parquet file for each space into the new folder OUT, a row a clip.

    \b
    Examples:
      emo cache export parquet tables
      emo cache export parquet tables --space hubert@paper --json
    """
    from emo.cache.exchange.parquet import export_parquet

    _export(export_parquet, out, names, cache_path, as_json)


@export_group.command(name="zarr")
@common
def export_zarr_command(out: Path, names: tuple[str, ...], cache_path: Path | None, as_json: bool) -> None:
    """Write plain Zarr v3 without gaps or shards to the new folder OUT.

    \b
    Examples:
      emo cache export zarr plain.zarr
      emo cache export zarr plain.zarr --space hubert@paper --json
    """
    from emo.cache.exchange.plain_zarr import export_zarr

    _export(export_zarr, out, names, cache_path, as_json)


@export_group.command(name="lhotse")
@common
@click.option(
    "--manifest",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Clips whose words, speakers, labels and places become supervisions and recordings.",
)
def export_lhotse_command(
    out: Path, names: tuple[str, ...], manifest: Path | None, cache_path: Path | None, as_json: bool
) -> None:
    """Write manifests and arrays for lhotse to the new folder OUT.

    Frames that are evenly spaced; recordings of clips that are WAV files. For others lhotse makes them:
    Recording.from_file(path, recording_id=clip_id).

    \b
    Examples:
      emo cache export lhotse cuts --space hubert
      emo cache export lhotse cuts --manifest clips.csv --json
    """
    from emo.cache import open_cache
    from emo.cache.exchange.lhotse import export_lhotse
    from emo.cache.exchange.outgoing import chosen_spaces
    from emo.corpora import read_manifest

    clips = read_manifest(manifest) if manifest else []
    _check_new(out)
    spaces = chosen_spaces(open_cache(cache_path or DEFAULT_CACHE), names)
    written = list(counted(export_lhotse(spaces, out, clips), "written"))
    fitting = Counter(line.split(" ")[0] for line in written)
    left = {space.name: len(space) - fitting[space.name] for space in spaces}
    told = "".join(f"; {name}: {count} have no evenly spaced frames" for name, count in left.items() if count)
    facts = {"records": len(written), "left_out": left, "path": str(out)}
    report(facts, f"{len(written)} records written to {out}{told}", as_json)


@export_group.command(name="mmsa")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--labels",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="A JSON line a clip: clip_id, split (train, valid, test), labels.",
)
@click.option("--text", metavar="SPACE", help="Space of the words' features.")
@click.option("--audio", metavar="SPACE", help="Space of the sound's features.")
@click.option("--vision", metavar="SPACE", help="Space of the face's features.")
@cache_option
@json_option
def export_mmsa_command(
    out: Path,
    labels: Path,
    text: str | None,
    audio: str | None,
    vision: str | None,
    cache_path: Path | None,
    as_json: bool,
) -> None:
    """Write the pickle OUT for MMSA: padded float32 arrays of clips in every space.

    \b
    Examples:
      emo cache export mmsa mosi.pkl --labels mosi.jsonl --audio hubert
      emo cache export mmsa mosi.pkl --labels mosi.jsonl --vision mae --json
    """
    from emo.cache import open_cache
    from emo.cache.exchange.mmsa import export_mmsa

    chosen = zip(MODALITIES, (text, audio, vision), strict=True)
    named = {modality: name for modality, name in chosen if name}
    if not named:
        raise click.UsageError("name a space: --text, --audio or --vision.")
    _check_new(out)
    store = open_cache(cache_path or DEFAULT_CACHE)
    spaces = {modality: store.space(name) for modality, name in named.items()}
    _write(export_mmsa(spaces, out, labels), out, as_json)


def _export(
    export: Callable[[Sequence[Space], Path], Iterator[str]],
    out: Path,
    names: tuple[str, ...],
    cache_path: Path | None,
    as_json: bool,
) -> None:
    from emo.cache import open_cache
    from emo.cache.exchange.outgoing import chosen_spaces

    _check_new(out)
    spaces = chosen_spaces(open_cache(cache_path or DEFAULT_CACHE), names)
    _write(export(spaces, out), out, as_json)


def _write(written: Iterable[str], out: Path, as_json: bool) -> None:
    count = sum(1 for _ in counted(written, "written"))
    report({"records": count, "path": str(out)}, f"{count} records written to {out}", as_json)


def _check_new(out: Path) -> None:
    if out.exists():
        raise click.UsageError(f"{out} exists. Give another name or remove it.")
