"""`emo cache import`: features of other tools into a cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.cache_options import DEFAULT_CACHE, cache_option, counted, json_option, report

if TYPE_CHECKING:
    from emo.cache.exchange.incoming import Taken
    from emo.cache.exchange.mertools import Variant
    from emo.spec import ArrayKind

EXIT_PARTIAL = 3

folder_argument = click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
file_argument = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
path_argument = click.argument("path", type=click.Path(path_type=Path, exists=True))
append_option = click.option(
    "--append",
    is_flag=True,
    help="Add to the space of an earlier import: the same extraction of other clips.",
)
name_option = click.option("--name", required=True, metavar="ENCODER", help="Encoder that made them.")
kind_option = click.option(
    "--kind",
    type=click.Choice(["utterance", "frames", "tokens"]),
    required=True,
    help="What an array is: (D,), (T, D) or (N, D).",
)


def common(command: Callable[..., None]) -> Callable[..., None]:
    """The options that every import of a foreign format has, and the exit code of a partial one."""
    return append_option(cache_option(json_option(click.pass_context(command))))


@click.group(name="import")
def import_group() -> None:
    """Take features in from another format."""


@import_group.command(name="h5")
@file_argument
@cache_option
@json_option
def import_h5_command(file: Path, cache_path: Path | None, as_json: bool) -> None:
    """Store the records of the exported HDF5 file FILE that the cache lacks.

    \b
    Examples:
      emo cache import h5 features.h5
      emo cache import h5 features.h5 --cache other.zarr --json
    """
    from emo.cache import open_cache
    from emo.cache.exchange.hdf5 import import_h5

    target = cache_path or DEFAULT_CACHE
    count = sum(1 for _ in counted(import_h5(open_cache(target, "a"), file), "stored"))
    report({"records": count, "path": str(target)}, f"{count} records stored in {target}", as_json)


@import_group.command(name="mertools")
@folder_argument
@click.option(
    "--variant",
    type=click.Choice(["mer2023", "merbench"]),
    help="Which code made them; needed for HuBERT and its like.",
)
@click.option("--name", default="", metavar="ENCODER", help="Another name for the encoder.")
@common
def import_mertools_command(
    context: click.Context,
    folder: Path,
    variant: Variant | None,
    name: str,
    append: bool,
    cache_path: Path | None,
    as_json: bool,
) -> None:
    """Store MERTools features: FOLDER is <encoder>-UTT or -FRA, or holds such.

    Files of zeros become missing. UTT and FRA of an encoder become one space.

    \b
    Examples:
      emo cache import mertools features --variant merbench
      emo cache import mertools clip-vit-large-patch14-UTT --json
    """
    from emo.cache import open_cache
    from emo.cache.exchange.mertools import import_mertools

    target = cache_path or DEFAULT_CACHE
    taken = import_mertools(open_cache(target, "a"), folder, variant=variant or "", name=name, append=append)
    _take(context, taken, target, as_json)


@import_group.command(name="emotion-llama")
@folder_argument
@common
def import_emotion_llama_command(
    context: click.Context, folder: Path, append: bool, cache_path: Path | None, as_json: bool
) -> None:
    """Store the features of the Emotion-LLaMA authors as mae, videomae, hubert.

    FOLDER holds mae_340_UTT, maeV_399_UTT, HL-UTT or their _23_ twins, or is one.

    \b
    Examples:
      emo cache import emotion-llama MERR/features --cache official.zarr
      emo cache import emotion-llama HL-UTT --cache official.zarr --json
    """
    from emo.cache import open_cache
    from emo.cache.exchange.emotion_llama import import_emotion_llama

    target = cache_path or DEFAULT_CACHE
    taken = import_emotion_llama(open_cache(target, "a"), folder, append=append)
    _take(context, taken, target, as_json)


@import_group.command(name="npy")
@path_argument
@name_option
@kind_option
@common
def import_npy_command(
    context: click.Context,
    path: Path,
    name: str,
    kind: ArrayKind,
    append: bool,
    cache_path: Path | None,
    as_json: bool,
) -> None:
    """Store a tree PATH of .npy and .npz files, or one .npz: an array a clip.

    A clip's id is its file's path in the tree, or the member's name in the .npz.

    \b
    Examples:
      emo cache import npy features --name openface --kind frames
      emo cache import npy pooled.npz --name clip --kind utterance --json
    """
    from emo.cache import open_cache
    from emo.cache.exchange.arrays import import_arrays

    target = cache_path or DEFAULT_CACHE
    taken = import_arrays(open_cache(target, "a"), path, name, kind, append=append)
    _take(context, taken, target, as_json)


@import_group.command(name="safetensors")
@path_argument
@name_option
@kind_option
@common
def import_safetensors_command(
    context: click.Context,
    path: Path,
    name: str,
    kind: ArrayKind,
    append: bool,
    cache_path: Path | None,
    as_json: bool,
) -> None:
    """Store the tensors of a safetensors file, or of a folder of them: one a clip.

    A tensor's name is the clip's id.

    \b
    Examples:
      emo cache import safetensors pooled.safetensors --name clip --kind utterance
      emo cache import safetensors parts --name wavlm --kind frames --json
    """
    from emo.cache import open_cache
    from emo.cache.exchange.tensors import import_safetensors

    target = cache_path or DEFAULT_CACHE
    taken = import_safetensors(open_cache(target, "a"), path, name, kind, append=append)
    _take(context, taken, target, as_json)


@import_group.command(name="mmsa")
@file_argument
@click.option("--name", required=True, metavar="DATASET", help="Spaces become NAME-text, -audio, -vision.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="New file for labels, splits and words, a JSON line a clip.",
)
@common
def import_mmsa_command(
    context: click.Context,
    file: Path,
    name: str,
    labels: Path | None,
    append: bool,
    cache_path: Path | None,
    as_json: bool,
) -> None:
    """Store an MMSA or MMSA-FET pickle; nothing in it is executed.

    Rows of zeros are padding there: they are left out, and where they were is noted.

    \b
    Examples:
      emo cache import mmsa unaligned_50.pkl --name mosi --labels mosi.jsonl
      emo cache import mmsa unaligned_50.pkl --name mosi --json
    """
    from emo.cache import open_cache
    from emo.cache.exchange.mmsa import import_mmsa

    target = cache_path or DEFAULT_CACHE
    taken = import_mmsa(open_cache(target, "a"), file, name, labels=labels, append=append)
    _take(context, taken, target, as_json)


@import_group.command(name="csd")
@file_argument
@click.option("--name", default="", metavar="ENCODER", help="Another name for the sequence.")
@common
def import_csd_command(
    context: click.Context, file: Path, name: str, append: bool, cache_path: Path | None, as_json: bool
) -> None:
    """Store a computational sequence of the CMU-MultimodalSDK, with its times.

    \b
    Examples:
      emo cache import csd CMU_MOSI_COVAREP.csd --name covarep
      emo cache import csd CMU_MOSI_COVAREP.csd --json
    """
    from emo.cache import open_cache
    from emo.cache.exchange.csd import import_csd

    target = cache_path or DEFAULT_CACHE
    _take(context, import_csd(open_cache(target, "a"), file, name, append=append), target, as_json)


@import_group.command(name="exported")
@folder_argument
@cache_option
@json_option
@click.pass_context
def import_exported_command(
    context: click.Context, folder: Path, cache_path: Path | None, as_json: bool
) -> None:
    """Store what the cache lacks of a folder of `export npy` or `export safetensors`.

    Specs, statuses and notes come back as they were; a value that changed is an error.

    \b
    Examples:
      emo cache import exported shared
      emo cache import exported shared --cache other.zarr --json
    """
    from emo.cache import open_cache
    from emo.cache.exchange.exported import restore

    target = cache_path or DEFAULT_CACHE
    _take(context, restore(open_cache(target, "a"), folder), target, as_json)


def _take(context: click.Context, taken: Iterable[Taken], target: Path, as_json: bool) -> None:
    """Run an import and say what became of the clips; exit 3 where some could not be read."""
    spaces: dict[str, Counter[str]] = {}
    stored = 0
    for one in counted(taken, "clips"):
        spaces.setdefault(one.space, Counter())[one.status] += 1
        stored += one.stored
    found: dict[str, Any] = {"stored": stored, "spaces": spaces, "path": str(target)}
    lines = [
        f"{space}: " + ", ".join(f"{count} {status}" for status, count in statuses.items())
        for space, statuses in spaces.items()
    ]
    report(found, "\n".join([*lines, f"{stored} records stored in {target}"]), as_json)
    if any(status.startswith("failed:") for statuses in spaces.values() for status in statuses):
        context.exit(EXIT_PARTIAL)
